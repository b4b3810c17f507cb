/**
 * Plans the stages of an experiment's calibration: tunings with and without planted words, and each reading's values
 * for them.
 */

import { invariant } from "../common/errors.ts";
import type { WordReadingSettings } from "../probe/word-readings.ts";
import { hasEdits } from "../rewards/reward-configs.ts";
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { factsOfTuning, withSteps } from "../tuning/tunings.ts";
import { experimentDigest } from "./artifacts/calibration-file.ts";
import type { CalibrationOptions } from "./calibration-options.ts";
import { siteSettingOf, trainingOf } from "./experiment/dictionaries-schema.ts";
import {
  checkFeedback,
  editSettingsOf,
  requireWords,
  rewardSettingsOf,
  taskSettingsOf,
} from "./experiment/feedback-settings.ts";
import { ExperimentError, issueAt } from "./experiment/issues.ts";
import { type Experiment, tuningOf } from "./experiment/schema.ts";
import { tuneSettings } from "./experiment/tuning-settings.ts";
import { findModels, type PlanOptions, planPrepare } from "./plan-inputs.ts";
import { calibrateStage } from "./stages/calibrate.ts";
import { collectStage } from "./stages/collect.ts";
import { dictionariesStage } from "./stages/dictionaries.ts";
import { divergenceStage } from "./stages/divergence.ts";
import { learnedStage } from "./stages/learned.ts";
import { logRatioStage } from "./stages/log-ratio.ts";
import { candidatesStage, plantedTuneStage, plantStage } from "./stages/plant.ts";
import { triplesStage } from "./stages/triples.ts";
import { tuneStage } from "./stages/tune.ts";
import { fittedReadingsStage, wordReadingsStage } from "./stages/word-readings.ts";

/** One tuning of a calibration. */
interface Tuning {
  readonly id: string;
  readonly isNull: boolean;
  readonly seed: number;
  /** Index from 0 among the tunings of its kind. */
  readonly index: number;
}

interface Shared {
  readonly experiment: Experiment;
  readonly options: CalibrationOptions;
  readonly model: OutsideInput;
  readonly texts: PlannedStage;
  readonly candidates: PlannedStage;
  readonly triples: PlannedStage;
}

/** A calibration's stages. */
export interface CalibrationPlan {
  /** All of them, in the order in which one process takes them. */
  readonly stages: readonly PlannedStage[];
  /**
   * What runs apart, by the name of its run, in the order of their start: every tuning with its readings (`set1`,
   * `null2`) and the base model's readings (`base`). They have stages in common, and the last stage of all is in none.
   */
  readonly parts: ReadonlyMap<string, readonly PlannedStage[]>;
}

/**
 * The stages of a calibration. Stages that do not depend on the tuning run once: texts, triples, the layers (those that
 * changed most in the first tuning without planted words, or else the first with) and the base model's features. Throws
 * what `planExperiment` throws, and `ExperimentError` when there is nothing to tune.
 */
export async function planCalibration(
  asked: Experiment,
  options: CalibrationOptions & PlanOptions,
): Promise<CalibrationPlan> {
  requireWords(asked);
  const experiment = tuningInSteps(asked, options.steps);
  const tunings = tuningsOf(experiment, options);
  checkFeedback(experiment);
  const { model } = await findModels(experiment, options);
  const texts = await planPrepare(experiment, options);
  const shared = { experiment, options, model, texts, ...planShared(experiment, options, model, texts) };
  const tuned = tunings.map((tuning) => ({ tuning, ...planTuning(tuning, shared) }));
  const first = tuned.find(({ tuning }) => tuning.isNull) ?? tuned[0];
  invariant(first !== undefined, "a calibration has a tuning");
  const divergence = planStage({
    id: "divergence",
    stage: divergenceStage,
    settings: experiment.divergence,
    inputs: { model, tuned: first.tuned },
  });
  const base = planReadings("base", model, divergence, shared);
  const inputs: Record<string, PlannedStage> = { candidates: shared.candidates, "readings-base": base };
  // Stages that can fail for lack of words run before anything is tuned.
  const begin = [shared.candidates, shared.triples];
  const parts = new Map<string, readonly PlannedStage[]>();
  for (const { tuning, planted, tuned: own } of tuned) {
    const learned = planLearned(tuning, own, shared);
    const readings = planReadings(tuning.id, own, divergence, shared);
    inputs[`planted-${tuning.id}`] = planted;
    inputs[`learned-${tuning.id}`] = learned;
    inputs[`readings-${tuning.id}`] = readings;
    parts.set(tuning.id, [...begin, planted, learned, readings]);
  }
  parts.set("base", [...begin, base]);
  const calibrate = planStage({
    id: "calibrate",
    stage: calibrateStage,
    settings: {
      run: options.run,
      seed: experiment.seed,
      reward: rewardSettingsOf(experiment),
      experiment: experimentDigest(experiment),
      minPlaces: experiment.learned.minPlaces,
      factor: options.factor,
      resamples: experiment.probe.resamples,
      tunings: tunings.map(({ id, isNull, seed }) => ({ id, isNull, seed })),
    },
    inputs,
    publishAs: ".",
  });
  const tunes = tuned.flatMap(({ tuned: own }) => ("stage" in own ? [own] : []));
  return { stages: [...begin, ...tunes, calibrate], parts };
}

/** The experiment with this number of tuning steps. Throws `ExperimentError` if it cannot be calibrated. */
function tuningInSteps(experiment: Experiment, steps: number | undefined): Experiment {
  const { name } = experiment;
  const tuning = tuningOf(experiment);
  const fail = (key: string, message: string): never => {
    throw new ExperimentError(`The calibration of ${name}`, [issueAt([key], message, "rule")]);
  };
  if (tuning === undefined)
    return fail("tuning", "names a model that is tuned already; a calibration makes tunings of its own");
  if (!hasEdits(experiment.reward))
    fail(
      "reward",
      "gives no ratings of words that could be edited, so that nothing can be planted: give a lexicon, such as vader",
    );
  if (editSettingsOf(experiment).edits !== undefined) fail("reward", "has edits; a calibration plants words itself");
  return steps === undefined || steps === 0 ? experiment : { ...experiment, tuning: withSteps(tuning, steps) };
}

function tuningsOf(experiment: Experiment, { sets, nulls, seeds }: CalibrationOptions): Tuning[] {
  const seedAt = (at: number): number => seeds?.[at] ?? (experiment.seed + at) % 2 ** 32;
  return Array.from({ length: sets + nulls }, (_, at) => {
    const isNull = at >= sets;
    const index = isNull ? at - sets : at;
    return { id: `${isNull ? "null" : "set"}${index + 1}`, isNull, seed: seedAt(at), index };
  });
}

function planShared(
  experiment: Experiment,
  { wordsPerSet, met, steps }: CalibrationOptions,
  model: OutsideInput,
  texts: PlannedStage,
): Pick<Shared, "candidates" | "triples"> {
  const { seed, triples } = experiment;
  return {
    candidates: planStage({
      id: "candidates",
      stage: candidatesStage,
      settings: {
        ...readingSettings(experiment),
        minPlaces: experiment.learned.minPlaces,
        wordsPerSet,
        sampledTokens: steps === 0 ? 0 : sampledTokensOf(experiment),
        met,
      },
      inputs: { model, texts },
    }),
    triples: planStage({
      id: "triples",
      stage: triplesStage,
      settings: { ...taskSettingsOf(experiment), source: triples.texts, seed, limit: triples.limit },
      inputs: { model, texts },
    }),
  };
}

/**
 * A tuning's planted words, whose ratings a null tuning leaves unchanged, and the tuned model: the base model itself
 * for 0 steps.
 */
function planTuning({ id, isNull, seed, index }: Tuning, { experiment, options, model, texts, candidates }: Shared) {
  const { wordsPerSet, factor, steps } = options;
  const planted = planStage({
    id: `plant-${id}`,
    stage: plantStage,
    settings: {
      set: index,
      wordsPerSet,
      factor: isNull ? 1 : factor,
      seed: experiment.seed,
    },
    inputs: { candidates },
  });
  const settings = tuneSettings(experiment, rewardSettingsOf(experiment));
  const tune = isNull
    ? planStage({ id: `tune-${id}`, stage: tuneStage, ...settings, inputs: { model, texts }, seed })
    : planStage({ id: `tune-${id}`, stage: plantedTuneStage, ...settings, inputs: { model, texts, planted }, seed });
  return { planted, tuned: steps === 0 ? model : tune };
}

function planLearned(
  { id }: Tuning,
  tuned: PlannedStage | OutsideInput,
  { experiment, model, texts }: Shared,
): PlannedStage {
  return planStage({
    id: `learned-${id}`,
    stage: learnedStage,
    settings: { ...readingSettings(experiment), minPlaces: experiment.learned.minPlaces, onlyPlaces: true },
    inputs: { model, tuned, texts },
  });
}

/** The stages from training a model's own dictionaries to the probe's readings of words. */
function planReadings(
  id: string,
  read: PlannedStage | OutsideInput,
  divergence: PlannedStage,
  { experiment, model, texts, triples }: Shared,
): PlannedStage {
  const role = id === "base" ? "base" : "tuned";
  const { sae, text, probe } = experiment;
  const saes = planStage({
    id: `dictionaries-${id}`,
    stage: dictionariesStage,
    settings: {
      sae: trainingOf(sae),
      ...siteSettingOf(sae),
      prependBos: text.prependBos,
      modelName: experiment.model.split("/").at(-1) ?? experiment.model,
      role,
    },
    inputs: { tokenizer: model, model: read, texts, divergence },
  });
  const features = planStage({
    id: `collect-${id}`,
    stage: collectStage,
    settings: { dictionaries: role, multiToken: probe.multiToken, prependBos: text.prependBos },
    inputs: { model: probe.model === "base" ? model : read, tokenizer: model, saes, triples },
  });
  const settings = { ...taskSettingsOf(experiment), probe: wordReadingSettingsOf(experiment) };
  const place = { id: `readings-${id}`, settings };
  if (role === "base") return planStage({ ...place, stage: wordReadingsStage, inputs: { triples, features } });
  const logRatios = planStage({
    id: `log-ratio-${id}`,
    stage: logRatioStage,
    settings: { prependBos: text.prependBos },
    inputs: { model, tuned: read, triples },
  });
  return planStage({ ...place, stage: fittedReadingsStage, inputs: { triples, features, logRatios } });
}

/** Tokens in all completions of a tuning, at their mean length. */
function sampledTokensOf(experiment: Experiment): number {
  const tuning = tuningOf(experiment);
  const { min, max } = experiment.sampling.newTokens;
  return tuning === undefined ? 0 : (factsOfTuning(tuning).completions * (min + max)) / 2;
}

function wordReadingSettingsOf({ probe, seed }: Experiment): WordReadingSettings {
  const { alpha, normalise, trainShare, wordFolds } = probe;
  return { seed, alpha, normalise, trainShare, wordFolds };
}

function readingSettings(experiment: Experiment) {
  const { texts, tokens } = experiment.learned;
  return { reward: rewardSettingsOf(experiment), texts, tokens, prependBos: experiment.text.prependBos };
}
