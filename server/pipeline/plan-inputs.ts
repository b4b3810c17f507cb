/** A run's outside inputs: models and texts. */
import { stat } from "node:fs/promises";
import { adapterBaseFolder, isAdapterFolder } from "../models/adapter.ts";
import { isReadFromWeights } from "../models/classifiers/kinds.ts";
import { isClassifierFile, isModelFile } from "../models/model-files.ts";
import { resolveReference } from "../models/open.ts";
import { canonicalDigest } from "../runs/canonical-json.ts";
import { type OutsideInput, type PlannedStage, planStage } from "../runs/stage.ts";
import { outsideInput } from "../runs/stage-key.ts";
import type { PairTask } from "../tasks/tasks.ts";
import type { PairTokensConfig } from "../tuning/pair-tokens-config.ts";
import { rewardSettingsOf } from "./experiment/feedback-settings.ts";
import { dataFilesOf, dictionaryFolderIssues, feedbackInputIssues, modelIssues } from "./experiment/inputs.ts";
import { ExperimentError } from "./experiment/issues.ts";
import { type Experiment, givenModelOf } from "./experiment/schema.ts";
import { filesOf, modelsOf } from "./feedback.ts";
import { prepareStage, type TextSettings } from "./stages/prepare.ts";
import { type PreparePairsSettings, preparePairsStage } from "./stages/prepare-pairs.ts";

export interface PlanOptions {
  /** Name of the run, for the report. */
  readonly run: string;
  /** Called with progress during downloads. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

/** The stage that reads and splits the texts. Throws what `dataFilesOf` throws. */
export async function planPrepare(experiment: Experiment, options: PlanOptions): Promise<PlannedStage> {
  const { data, analysis } = experiment;
  const { files, inputs } = await findData(experiment, options);
  const settingsOf = (
    found: readonly string[],
    { field, limit }: NonNullable<Experiment["analysis"]>,
  ): TextSettings => ({
    files: found,
    field,
    limit,
  });
  const settings = {
    data: settingsOf(files.data, data),
    heldOut: data.heldOut,
    analysis: analysis === null ? null : settingsOf(files.analysis, analysis),
  };
  return planStage({ id: "prepare", stage: prepareStage, settings, inputs });
}

/**
 * The models and files that decide the feedback, as inputs of every stage that asks for rewards. Throws
 * `ExperimentError` for settings that these refute.
 */
export async function feedbackInputs(
  experiment: Experiment,
  options: PlanOptions,
): Promise<Readonly<Record<string, OutsideInput>>> {
  const inputs: Record<string, OutsideInput> = {};
  const settings = rewardSettingsOf(experiment);
  const folders = new Map<string, string>();
  for (const [at, model] of modelsOf(settings).entries()) {
    const input = await classifierInput(model, experiment, options);
    inputs[`feedbackModel${at}`] = input;
    folders.set(model, input.path);
  }
  const issues = await feedbackInputIssues(experiment, async (model) => folders.get(model));
  if (issues.length > 0) throw new ExperimentError(experiment.name, issues);
  for (const [at, path] of filesOf(settings).entries()) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true) inputs[`feedback${at}`] = await outsideInput(path, { signal: options.signal });
  }
  return inputs;
}

/** The stage that reads and splits the pairs of a task about pairs. Throws what `dataFilesOf` throws. */
export async function planPreparePairs(
  experiment: Experiment & { readonly task: PairTask },
  model: OutsideInput,
  tokens: PairTokensConfig,
  options: PlanOptions,
): Promise<PlannedStage> {
  const { data, analysis, task } = experiment;
  const { files, inputs } = await findData(experiment, options);
  const settings: PreparePairsSettings = {
    data: { files: files.data, limit: data.limit },
    heldOut: data.heldOut,
    analysis: analysis === null ? null : { files: files.analysis, limit: analysis.limit },
    task,
    tokens,
  };
  return planStage({ id: "prepare", stage: preparePairsStage, settings, inputs: { model, ...inputs } });
}

/** The data files as inputs of a stage, and their names there, in order. */
async function findData({ data, analysis, download }: Experiment, options: PlanOptions) {
  const inputs: Record<string, OutsideInput> = {};
  const found = async (prefix: string, { source }: NonNullable<Experiment["analysis"]>): Promise<string[]> => {
    const paths = await dataFilesOf(source, { download, ...downloading(options) });
    for (const [index, path] of paths.entries())
      inputs[`${prefix}${index}`] = await outsideInput(path, { signal: options.signal });
    return paths.map((_, index) => `${prefix}${index}`);
  };
  const files = {
    data: await found("data", data),
    analysis: analysis === null ? [] : await found("analysis", analysis),
  };
  return { files, inputs };
}

/** The dictionary of others that the experiment names, if any. Throws `ExperimentError` where there is no such folder. */
export async function dictionaryInput(
  { name, sae: { source } }: Experiment,
  { signal }: PlanOptions,
): Promise<OutsideInput | undefined> {
  if (source === null) return undefined;
  const issues = await dictionaryFolderIssues(source);
  if (issues.length > 0) throw new ExperimentError(name, issues);
  return await outsideInput(source, { signal });
}

/** The base model, and the tuned one if the experiment names it. */
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

/** A model that judges, which may be stored as ONNX. */
async function classifierInput(
  reference: string,
  { download }: Experiment,
  options: PlanOptions,
): Promise<OutsideInput> {
  const { folder } = await resolveReference(reference, {
    download,
    onnxUnless: isReadFromWeights,
    ...downloading(options),
  });
  return await outsideInput(folder, { counts: isClassifierFile, signal: options.signal });
}

async function modelInput(reference: string, { download }: Experiment, options: PlanOptions): Promise<OutsideInput> {
  const { folder } = await resolveReference(reference, { download, ...downloading(options) });
  const digested = { counts: isModelFile, signal: options.signal };
  const own = await outsideInput(folder, digested);
  if (!(await isAdapterFolder(folder))) return own;
  // Adapters are read with their model, which therefore counts too.
  const base = await outsideInput(await adapterBaseFolder(folder), digested);
  return { path: own.path, digest: canonicalDigest({ adapters: own.digest, base: base.digest }) };
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
