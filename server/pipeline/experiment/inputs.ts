/** The models and data files that an experiment names, on this machine. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { starterFolder } from "../../common/package-root.ts";
import { isReadFromWeights } from "../../models/classifiers/kinds.ts";
import { readConfig } from "../../models/config.ts";
import { DataSplitError, NotCachedError } from "../../models/hub/errors.ts";
import type { ResolveOptions } from "../../models/hub.ts";
import { resolveDataFiles } from "../../models/hub-data.ts";
import { resolveReference } from "../../models/open.ts";
import type { FolderOf } from "../../rewards/reward-issues.ts";
import { dataFileEndings } from "../data/rows.ts";
import { issuesOf as issuesOfFeedback } from "../feedback.ts";
import { rewardSettingsOf } from "./feedback-settings.ts";
import { type ExperimentIssue, issueAt } from "./issues.ts";
import { modelFitIssues } from "./model-fit.ts";
import { type Experiment, givenModelOf } from "./schema.ts";
import type { TextSource } from "./sources.ts";

/** A file that an experiment names is missing. */
export class MissingDataFileError extends LfpError {
  readonly code = "not-found";

  constructor(path: string) {
    super(`there is no file ${path}. Check the path; a relative one starts from the experiment file's folder.`);
  }
}

/**
 * Files of a source of texts, in order; finds or downloads those of the hub. Throws `MissingDataFileError` and what
 * `resolveDataFiles` throws.
 */
export async function dataFilesOf(source: TextSource, options: ResolveOptions): Promise<readonly string[]> {
  if (source === "starter") return [join(starterFolder(), "reviews.jsonl")];
  if ("file" in source) {
    const found = await stat(source.file).catch(() => undefined);
    if (found?.isFile() !== true) throw new MissingDataFileError(source.file);
    return [source.file];
  }
  const { split, config } = source;
  const selection = { split, endings: dataFileEndings, ...(config === null ? {} : { config }) };
  const { paths } = await resolveDataFiles(source.hub, selection, options);
  return paths;
}

/** Nothing, or the issue that a dictionary's folder is missing. */
export async function dictionaryFolderIssues(source: string): Promise<ExperimentIssue[]> {
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory() === true) return [];
  const got = found === undefined ? `there is no folder ${source}` : `${source} is no folder`;
  return [issueAt(["sae", "source"], `${got}; expected the folder of a dictionary`, "rule")];
}

/** Demands of an experiment that the models in these folders cannot meet. Throws what `readConfig` throws. */
export async function modelIssues(
  experiment: Experiment,
  modelFolder: string,
  tunedFolder: string | undefined,
): Promise<ExperimentIssue[]> {
  const { config } = await readConfig(modelFolder);
  const tuned = tunedFolder === undefined ? undefined : await readConfig(tunedFolder);
  return modelFitIssues(experiment, config, tuned?.config);
}

/** What is wrong in the settings of the feedback and shows only in what they name. */
export async function feedbackInputIssues(
  experiment: Pick<Experiment, "reward">,
  folderOf: FolderOf,
): Promise<ExperimentIssue[]> {
  const issues = await issuesOfFeedback(rewardSettingsOf(experiment), folderOf);
  return issues.map(({ path, message }) => issueAt(["reward", ...path], message, "rule"));
}

/**
 * Inputs that an experiment names and a run would find missing or unsuitable. Downloads nothing; an input that the
 * experiment allows to download is not reported as missing.
 */
export async function missingInputs(experiment: Experiment): Promise<ExperimentIssue[]> {
  const { model, data, analysis, download, sae } = experiment;
  const given = givenModelOf(experiment);
  const folders = new Map<string, string>();
  const lookForModel = (role: "base" | "tuned", keys: readonly string[], reference: string) =>
    [
      keys,
      async () => {
        folders.set(role, (await resolveReference(reference, NO_DOWNLOAD)).folder);
        return [];
      },
    ] as const;
  const lookForData = (key: "data" | "analysis", { source }: Pick<Experiment["data"], "source">) =>
    [
      [key, "source"],
      async () => {
        await dataFilesOf(source, NO_DOWNLOAD);
        return [];
      },
    ] as const;
  const looks: readonly Look[] = [
    lookForModel("base", ["model"], model),
    ...(given === undefined ? [] : [lookForModel("tuned", ["tuning", "model"], given)]),
    lookForData("data", data),
    ...(analysis === null ? [] : [lookForData("analysis", analysis)]),
  ];
  const found = await Promise.all(looks.map((look) => issuesOf(look, download)));
  const folder = folders.get("base");
  const lookAtModels: Look = [
    ["model"],
    async () => (folder === undefined ? [] : await modelIssues(experiment, folder, folders.get("tuned"))),
  ];
  const lookAtFeedback: Look = [["reward"], () => feedbackInputIssues(experiment, folderIfThere(download))];
  const more = [await issuesOf(lookAtModels, download), await issuesOf(lookAtFeedback, download)];
  const dictionary = sae.source === null ? [] : await dictionaryFolderIssues(sae.source);
  return [...found, ...more, dictionary].flat();
}

/** Finds models of the feedback without downloading them; those that a run may download are not missing. */
function folderIfThere(download: boolean): FolderOf {
  return async (model) => {
    try {
      return (await resolveReference(model, { ...NO_DOWNLOAD, onnxUnless: isReadFromWeights })).folder;
    } catch (error) {
      if (download && error instanceof NotCachedError) return undefined;
      throw error;
    }
  };
}

/** Where an experiment names an input, and a check of that input. */
type Look = readonly [keys: readonly string[], look: () => Promise<ExperimentIssue[]>];

async function issuesOf([keys, look]: Look, download: boolean): Promise<ExperimentIssue[]> {
  try {
    return await look();
  } catch (error) {
    const isOnlyFar = error instanceof NotCachedError || error instanceof DataSplitError;
    if (!(error instanceof LfpError)) throw error;
    return download && isOnlyFar ? [] : [issueAt(keys, error.message, "rule")];
  }
}

const NO_DOWNLOAD = { download: false } as const;
