/** Plans the stages of a run on pairs of answers: the settings and inputs of each. */
import { readConfig } from "../models/config.ts";
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import type { PairTask } from "../tasks/tasks.ts";
import type { PreferenceSettings } from "../tuning/preference-settings.ts";
import { rewardSettingsOf } from "./experiment/feedback-settings.ts";
import { type Experiment, preferenceOfTuning, tuningOf } from "./experiment/schema.ts";
import { planClassify, planContrasts } from "./plan-classify.ts";
import { findModels, type PlanOptions, planPreparePairs } from "./plan-inputs.ts";
import { type Planned, planAutoencoders, planExamples, planExplain } from "./plan-measurements.ts";
import { factsOf } from "./report/about.ts";
import { divergenceStage } from "./stages/divergence.ts";
import { evaluatePairsStage } from "./stages/evaluate-pairs.ts";
import { type PairReportInput, reportPairsStage } from "./stages/report-pairs.ts";
import { similarityStage } from "./stages/similarity.ts";
import { tunePairsStage } from "./stages/tune-pairs.ts";

/** An experiment whose task is about pairs of answers. */
export type PairExperiment = Experiment & { readonly task: PairTask };

/** The stages of an experiment on pairs, in order. Throws what `planExperiment` throws. */
export async function planPreferences(experiment: PairExperiment, options: PlanOptions): Promise<PlannedStage[]> {
  const { model, given } = await findModels(experiment, options);
  const preference = await preferenceFor(experiment, model);
  const texts = await planPreparePairs(experiment, model, preference.tokens, options);
  const tuned = given ?? planTune(experiment, model, texts);
  const evaluate = planEvaluate(experiment, preference, { model, tuned, texts });
  const divergence = planStage({
    id: "divergence",
    stage: divergenceStage,
    settings: experiment.divergence,
    inputs: { model, tuned },
    publishAs: ".",
  });
  const planned: Planned = { experiment, model, tuned, texts, feedback: {}, divergence };
  const autoencoders = planAutoencoders(planned);
  const similarity = planStage({
    id: "similarity",
    stage: similarityStage,
    settings: {},
    inputs: { saes: autoencoders },
  });
  const contrasts = await planContrasts(experiment, texts, options);
  const classified = planClassify(planned, { saes: autoencoders, contrasts });
  const { probe, tunedFeatures: features } = classified;
  const examples = planExamples(planned, autoencoders, probe);
  const { task } = experiment;
  const explain = planExplain(planned, examples, { task, reward: rewardSettingsOf(experiment) });
  const found = { texts, evaluate, divergence, autoencoders, similarity, contrasts, features, probe };
  const report = planReport(experiment, options.run, found);
  const tune = "stage" in tuned ? [tuned] : [];
  return [
    texts,
    ...tune,
    evaluate,
    divergence,
    autoencoders,
    similarity,
    contrasts,
    ...classified.stages,
    examples,
    explain,
    report,
  ];
}

function planTune(experiment: PairExperiment, model: OutsideInput, texts: PlannedStage): PlannedStage | OutsideInput {
  const tuning = tuningOf(experiment);
  // The base model itself: not reached, because an experiment without a tuning names a tuned model.
  if (tuning === undefined) return model;
  const { sampling, text } = experiment;
  return planStage({
    id: "tune",
    stage: tunePairsStage,
    settings: { tuning, sampling, text },
    inputs: { model, texts },
    publishAs: "tuned",
  });
}

/** How pairs are scored; of a model that was tuned elsewhere, as many tokens as the model's context holds. */
async function preferenceFor(experiment: PairExperiment, { path }: OutsideInput): Promise<PreferenceSettings> {
  const preference = preferenceOfTuning(experiment);
  if (tuningOf(experiment) !== undefined) return preference;
  const { config } = await readConfig(path);
  const maxTokens = Math.min(preference.tokens.maxTokens, config.contextLength);
  return { ...preference, tokens: { ...preference.tokens, maxTokens } };
}

function planEvaluate(
  experiment: PairExperiment,
  preference: PreferenceSettings,
  inputs: Pick<Planned, "model" | "tuned" | "texts">,
): PlannedStage {
  const { evaluate, sampling } = experiment;
  return planStage({
    id: "evaluate",
    stage: evaluatePairsStage,
    settings: {
      preference,
      isTuned: tuningOf(experiment) !== undefined,
      pairs: evaluate.prompts,
      // A pair is two completions.
      pairsAtOnce: Math.max(1, Math.floor(sampling.scoredRows / 2)),
    },
    inputs,
  });
}

function planReport(
  experiment: PairExperiment,
  run: string,
  inputs: Readonly<Record<PairReportInput, PlannedStage>>,
): PlannedStage {
  return planStage({
    id: "report",
    stage: reportPairsStage,
    settings: { run, seed: experiment.seed, about: factsOf(experiment) },
    inputs,
    publishAs: ".",
  });
}
