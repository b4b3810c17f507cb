/** From an experiment to the stages of its run: what each is told, and what it waits for. */

import { isModelFile } from "../models/model-files.ts";
import { resolveReference } from "../models/open.ts";
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { outsideInput } from "../runs/stage-key.ts";
import { tasks } from "../tasks/tasks.ts";
import { editSettingsOf, rewardSettingsOf, taskSettingsOf } from "./experiment/feedback-settings.ts";
import { dataFilesOf, modelIssues } from "./experiment/inputs.ts";
import { ExperimentError } from "./experiment/issues.ts";
import { type Experiment, fittedSettingsOf, givenModelOf, probeSettingsOf } from "./experiment/schema.ts";
import { completionStageSettings, tuneSettings } from "./experiment/tuning-settings.ts";
import { factsOf } from "./report/about.ts";
import { ablateStage, installAblations } from "./stages/ablate.ts";
import { attributeStage, installAttributions } from "./stages/attribute.ts";
import { autoencodersStage } from "./stages/autoencoders.ts";
import { collectStage } from "./stages/collect.ts";
import { divergenceStage } from "./stages/divergence.ts";
import { examplesStage, installFeatures } from "./stages/examples.ts";
import { explainStage, installExplanations } from "./stages/explain.ts";
import { learnedStage } from "./stages/learned.ts";
import { logRatioStage } from "./stages/log-ratio.ts";
import { prepareStage, type TextSettings } from "./stages/prepare.ts";
import { fittedStage, probeStage } from "./stages/probe.ts";
import { type ReportInput, reportStage } from "./stages/report.ts";
import { restoreStage } from "./stages/restore.ts";
import { similarityStage } from "./stages/similarity.ts";
import { triplesStage } from "./stages/triples.ts";
import { evaluateStage, tuneStage } from "./stages/tune.ts";

export interface PlanOptions {
  /** Name of the run, for the report. */
  readonly run: string;
  /** Told while something is downloaded. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The stages of an experiment by their ids, in order. Finds models and data, downloading them only where the experiment allows it. Throws
 * what `resolveReference`, `modelIssues` and `dataFilesOf` throw, and `ExperimentError` where the models cannot do what is asked of them.
 */
export async function planExperiment(experiment: Experiment, options: PlanOptions): Promise<PlannedStage[]> {
  const { model, given } = await findModels(experiment, options);
  const texts = await planPrepare(experiment, options);
  const { tuned, evaluate } = planTuning({ experiment, model, given, texts });
  const { divergence, restore } = planChanges({ experiment, model, tuned, texts });
  const planned = { experiment, model, tuned, texts, divergence };
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

/** The tuned model, made or given, and what it earns. */
function planTuning({ experiment, model, given, texts }: Pick<Planned, "experiment" | "model" | "texts"> & Given) {
  const reward = rewardSettingsOf(experiment);
  const edits = editSettingsOf(experiment);
  const tuned =
    given ??
    planStage({
      id: "tune",
      stage: tuneStage,
      ...tuneSettings(experiment, { ...reward, ...edits }),
      inputs: { model, texts },
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
    inputs: { model, tuned, texts },
  });
  return { tuned, evaluate };
}

/** Where the weights changed, and which of them hold the gain. */
function planChanges({ experiment, model, tuned, texts }: Omit<Planned, "divergence">) {
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
    inputs: { model, tuned, texts, divergence },
  });
  return { divergence, restore };
}

function planExplain({ experiment }: Planned, examples: PlannedStage): PlannedStage {
  return planStage({
    id: "explain",
    stage: explainStage,
    settings: { ...taskSettingsOf(experiment), ...experiment.explain, seed: experiment.seed },
    inputs: { examples },
    install: installExplanations,
  });
}

function planReport(
  experiment: Experiment,
  run: string,
  inputs: Readonly<Record<ReportInput, PlannedStage>>,
): PlannedStage {
  const { seed, report, reward } = experiment;
  const edited = reward.edits.length === 0 ? {} : { lexicon: reward.lexicon, edits: reward.edits };
  return planStage({
    id: "report",
    stage: reportStage,
    settings: { run, seed, words: report.words, about: factsOf(experiment), ...edited },
    inputs,
    publishAs: ".",
  });
}

/** A tuned model that need not be made. */
interface Given {
  readonly given: OutsideInput | undefined;
}

interface Planned {
  readonly experiment: Experiment;
  readonly model: OutsideInput;
  readonly tuned: OutsideInput | PlannedStage;
  readonly texts: PlannedStage;
  readonly divergence: PlannedStage;
}

function planLearned({ experiment, model, tuned, texts }: Planned): PlannedStage {
  return planStage({
    id: "learned",
    stage: learnedStage,
    settings: { reward: rewardSettingsOf(experiment), ...experiment.learned, prependBos: experiment.text.prependBos },
    inputs: { model, tuned, texts },
    publishAs: "learned",
  });
}

function planAutoencoders({ experiment, model, tuned, texts, divergence }: Planned): PlannedStage {
  return planStage({
    id: "autoencoders",
    stage: autoencodersStage,
    settings: {
      sae: experiment.sae,
      prependBos: experiment.text.prependBos,
      modelName: experiment.model.split("/").at(-1) ?? experiment.model,
      qualityTexts: 48,
    },
    inputs: { model, tuned, texts, divergence },
    publishAs: "sae",
  });
}

function planProbe({ experiment, model, tuned, texts }: Planned, saes: PlannedStage) {
  const { seed, text } = experiment;
  const feedback = taskSettingsOf(experiment);
  const { texts: source, limit } = experiment.triples;
  const triples = planStage({
    id: "triples",
    stage: triplesStage,
    settings: { ...feedback, source, seed, limit },
    inputs: { model, texts },
  });
  const collect = (dictionaries: "base" | "tuned"): PlannedStage => {
    const read = dictionaries === "base" || experiment.probe.model === "base" ? model : tuned;
    return planStage({
      id: `collect-${dictionaries}`,
      stage: collectStage,
      settings: { dictionaries, multiToken: experiment.probe.multiToken, prependBos: text.prependBos },
      inputs: { model: read, tokenizer: model, saes, triples },
    });
  };
  const [base, tunedFeatures] = [collect("base"), collect("tuned")];
  const read = { texts, triples, tuned: tunedFeatures, base };
  const probe = planStage({
    id: "probe",
    stage: probeStage,
    settings: { ...feedback, probe: probeSettingsOf(experiment) },
    inputs: { ...read, model },
    publishAs: "probe",
  });
  const logRatios = planStage({
    id: "log-ratio",
    stage: logRatioStage,
    settings: { prependBos: text.prependBos },
    inputs: { model, tuned, triples },
  });
  const fitted = planStage({
    id: "fitted",
    stage: fittedStage,
    settings: { ...feedback, probe: fittedSettingsOf(experiment) },
    inputs: { ...read, model, logRatios },
    publishAs: "fitted",
  });
  return { triples, base, tunedFeatures, probe, logRatios, fitted };
}

function planAttribute(
  { experiment, model, tuned, texts }: Planned,
  { saes, examples }: Readonly<Record<"saes" | "examples", PlannedStage>>,
): PlannedStage {
  return planStage({
    id: "attribute",
    stage: attributeStage,
    ...completionStageSettings(experiment, { reward: rewardSettingsOf(experiment), ...experiment.attribute }),
    inputs: { model, tuned, texts, saes, examples },
    install: installAttributions,
  });
}

type AblationInput = "saes" | "triples" | "collected" | "probe" | "examples" | "explain" | "attribute";

function planAblate(
  { experiment, model, tuned, texts }: Planned,
  made: Readonly<Record<AblationInput, PlannedStage>>,
): PlannedStage {
  const { sae, probe, seed } = experiment;
  return planStage({
    id: "ablate",
    stage: ablateStage,
    ...completionStageSettings(experiment, {
      reward: rewardSettingsOf(experiment),
      contextLength: sae.contextLength,
      multiToken: probe.multiToken,
      ...experiment.ablate,
      seed,
    }),
    inputs: { model, tuned, texts, ...made },
    install: installAblations,
  });
}

function planExamples(
  { experiment, model, tuned, texts }: Planned,
  saes: PlannedStage,
  probe: PlannedStage,
): PlannedStage {
  return planStage({
    id: "examples",
    stage: examplesStage,
    settings: {
      ...experiment.examples,
      contextLength: experiment.sae.contextLength,
      prependBos: experiment.text.prependBos,
      task: tasks[experiment.task].description,
    },
    inputs: { model, tuned, texts, saes, probe },
    install: installFeatures,
  });
}

/** The stage that reads and splits the texts. Throws what `dataFilesOf` throws. */
export async function planPrepare(
  { data, analysis, download }: Experiment,
  options: PlanOptions,
): Promise<PlannedStage> {
  const inputs: Record<string, OutsideInput> = {};
  const settingsOf = async (
    prefix: string,
    { source, field, limit }: NonNullable<Experiment["analysis"]>,
  ): Promise<TextSettings> => {
    const paths = await dataFilesOf(source, { download, ...downloading(options) });
    const files = paths.map((_, index) => `${prefix}${index}`);
    for (const [index, path] of paths.entries())
      inputs[`${prefix}${index}`] = await outsideInput(path, { signal: options.signal });
    return { files, field, limit };
  };
  const settings = {
    data: await settingsOf("data", data),
    heldOut: data.heldOut,
    analysis: analysis === null ? null : await settingsOf("analysis", analysis),
  };
  return planStage({ id: "prepare", stage: prepareStage, settings, inputs });
}

/** The base model, and the tuned one where it is given. */
export async function findModels(
  experiment: Experiment,
  options: PlanOptions,
): Promise<{ model: OutsideInput; given: OutsideInput | undefined }> {
  const model = await modelInput(experiment.model, experiment, options);
  const tuned = givenModelOf(experiment);
  const given = tuned === undefined ? undefined : await modelInput(tuned, experiment, options);
  const issues = await modelIssues(experiment, model.path, given?.path);
  if (issues.length > 0) throw new ExperimentError(`${experiment.name} with ${experiment.model}`, issues);
  return { model, given };
}

async function modelInput(reference: string, { download }: Experiment, options: PlanOptions): Promise<OutsideInput> {
  const { folder } = await resolveReference(reference, { download, ...downloading(options) });
  return outsideInput(folder, { counts: isModelFile, signal: options.signal });
}

function downloading({ onProgress, signal }: PlanOptions) {
  return {
    ...(onProgress === undefined
      ? {}
      : {
          onProgress: ({ file, bytes, totalBytes }: { file: string; bytes: number; totalBytes: number }) =>
            onProgress(`${file}: ${bytes} of ${totalBytes} bytes`),
        }),
    ...(signal === undefined ? {} : { signal }),
  };
}
