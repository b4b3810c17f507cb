/** Plans the stages of an experiment's run: the settings and inputs of each. */

import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { isPairTask } from "../tasks/tasks.ts";
import { siteSettingOf } from "./experiment/dictionaries-schema.ts";
import { checkFeedback, editSettingsOf, rewardSettingsOf } from "./experiment/feedback-settings.ts";
import type { Experiment } from "./experiment/schema.ts";
import { completionStageSettings, tuneSettings } from "./experiment/tuning-settings.ts";
import { dictionaryInput, feedbackInputs, findModels, type PlanOptions, planPrepare } from "./plan-inputs.ts";
import {
  type Planned,
  planAblate,
  planAttribute,
  planAutoencoders,
  planExamples,
  planExplain,
  planLearned,
  planProbe,
} from "./plan-measurements.ts";
import { planPreferences } from "./plan-preferences.ts";
import { factsOf } from "./report/about.ts";
import { divergenceStage } from "./stages/divergence.ts";
import { type ReportInput, reportStage } from "./stages/report.ts";
import { restoreStage } from "./stages/restore.ts";
import { similarityStage } from "./stages/similarity.ts";
import { evaluateStage, tuneStage } from "./stages/tune.ts";

/**
 * The stages of an experiment, in order. Finds models and data, downloading them only if the experiment allows it.
 * Throws what `resolveReference`, `modelIssues` and `dataFilesOf` throw, and `ExperimentError` when the models cannot
 * do what the experiment asks of them.
 */
export async function planExperiment(experiment: Experiment, options: PlanOptions): Promise<PlannedStage[]> {
  const { task } = experiment;
  return isPairTask(task) ? planPreferences({ ...experiment, task }, options) : planWords(experiment, options);
}

/** The stages of an experiment on words. */
async function planWords(experiment: Experiment, options: PlanOptions): Promise<PlannedStage[]> {
  checkFeedback(experiment);
  const { model, given } = await findModels(experiment, options);
  const texts = await planPrepare(experiment, options);
  const feedback = await feedbackInputs(experiment, options);
  const { tuned, evaluate } = planTuning({ experiment, model, given, texts, feedback });
  const { divergence, restore } = planChanges({ experiment, model, tuned, texts, feedback });
  const dictionary = await dictionaryInput(experiment, options);
  const planned = { experiment, model, tuned, texts, feedback, divergence, dictionary };
  const learned = planLearned(planned);
  const autoencoders = planAutoencoders(planned);
  const similarity = planStage({
    id: "similarity",
    stage: similarityStage,
    settings: {},
    inputs: { saes: autoencoders },
  });
  const { triples, base, tunedFeatures, probe, logRatios, fitted } = planProbe(planned, autoencoders);
  const examples = planExamples(planned, autoencoders, probe);
  const explain = planExplain(planned, examples);
  const attribute = planAttribute(planned, { saes: autoencoders, examples });
  const made = { saes: autoencoders, triples, collected: tunedFeatures, probe, examples, explain, attribute };
  const ablate = planAblate(planned, made);
  const found = {
    texts,
    evaluate,
    divergence,
    restore,
    learned,
    autoencoders,
    similarity,
    probe,
    fitted,
    explain,
    ablate,
  };
  const report = planReport(experiment, options.run, { ...found, features: tunedFeatures });
  const tune = "stage" in tuned ? [tuned] : [];
  return [
    texts,
    ...tune,
    evaluate,
    divergence,
    learned,
    restore,
    autoencoders,
    similarity,
    triples,
    base,
    tunedFeatures,
    probe,
    logRatios,
    fitted,
    examples,
    explain,
    attribute,
    ablate,
    report,
  ];
}

/** The tuned model, trained or given, and the evaluation of its reward. */
function planTuning({ experiment, model, given, texts, feedback }: TuningParts) {
  const reward = rewardSettingsOf(experiment);
  const edits = editSettingsOf(experiment);
  const tuned =
    given ??
    planStage({
      id: "tune",
      stage: tuneStage,
      ...tuneSettings(experiment, { ...reward, ...edits }),
      inputs: { model, texts, ...feedback },
      publishAs: "tuned",
    });
  const {
    evaluate: { prompts },
    report: { samples },
  } = experiment;
  const evaluate = planStage({
    id: "evaluate",
    stage: evaluateStage,
    ...completionStageSettings(experiment, { reward, ...edits, prompts, samples }),
    inputs: { model, tuned, texts, ...feedback },
  });
  return { tuned, evaluate };
}

/** Measures where the weights changed, and which of them carry the gain. */
function planChanges({ experiment, model, tuned, texts, feedback }: Omit<Planned, "divergence" | "dictionary">) {
  const divergence = planStage({
    id: "divergence",
    stage: divergenceStage,
    settings: experiment.divergence,
    inputs: { model, tuned },
    publishAs: ".",
  });
  const restore = planStage({
    id: "restore",
    stage: restoreStage,
    ...completionStageSettings(experiment, {
      reward: rewardSettingsOf(experiment),
      prompts: experiment.evaluate.prompts,
      seed: experiment.seed,
    }),
    inputs: { model, tuned, texts, divergence, ...feedback },
  });
  return { divergence, restore };
}

function planReport(
  experiment: Experiment,
  run: string,
  inputs: Readonly<Record<ReportInput, PlannedStage>>,
): PlannedStage {
  const { seed, report } = experiment;
  const { edits } = editSettingsOf(experiment);
  const reward = rewardSettingsOf(experiment);
  const shared = { run, seed, words: report.words, ...siteSettingOf(experiment.sae), about: factsOf(experiment) };
  // Older runs have the reward's own settings and the edits side by side in the key; its kind is among the facts.
  const { kind: _, ...own } = reward;
  return planStage({
    id: "report",
    stage: reportStage,
    settings: edits === undefined ? shared : { ...shared, edited: { reward, edits } },
    keyed: edits === undefined ? shared : { ...shared, ...own, edits },
    inputs,
    publishAs: ".",
  });
}

interface TuningParts extends Pick<Planned, "experiment" | "model" | "texts" | "feedback"> {
  /** A tuned model that the experiment names, if any. */
  readonly given: OutsideInput | undefined;
}
