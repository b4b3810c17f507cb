/** The models and data files that an experiment names, on this machine. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { DataSplitError, NotCachedError } from "../../models/hub/errors.ts";
import type { ResolveOptions } from "../../models/hub.ts";
import { resolveDataFiles } from "../../models/hub-data.ts";
import { resolveReference, starterFolder } from "../../models/open.ts";
import { dataFileEndings } from "../data/texts.ts";
import { type ExperimentIssue, issueAt } from "./issues.ts";
import type { Experiment } from "./schema.ts";
import type { TextSource } from "./sources.ts";

/** A file that an experiment names is not there. */
export class MissingDataFileError extends LfpError {
  readonly code = "not-found";

  constructor(path: string) {
    super(`there is no file ${path}. Check the path; a relative one starts from the experiment file's folder.`);
  }
}

/** Files of a source of texts, in order; those of the hub are found or downloaded. Throws `MissingDataFileError` and what `resolveDataFiles` throws. */
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

/**
 * What an experiment names and a run of it would not find. Nothing is downloaded to find out; what the experiment allows to be downloaded is
 * not missed.
 */
export async function missingInputs({
  model,
  tuned,
  data,
  analysis,
  download,
}: Pick<Experiment, "model" | "tuned" | "data" | "analysis" | "download">): Promise<ExperimentIssue[]> {
  const looks: readonly (readonly [keys: readonly string[], look: () => Promise<unknown>])[] = [
    [["model"], () => resolveReference(model, NO_DOWNLOAD)],
    ...(tuned === null ? [] : [[["tuned"], () => resolveReference(tuned, NO_DOWNLOAD)] as const]),
    [["data", "source"], () => dataFilesOf(data.source, NO_DOWNLOAD)],
    ...(analysis === null ? [] : [[["analysis", "source"], () => dataFilesOf(analysis.source, NO_DOWNLOAD)] as const]),
  ];
  const found = await Promise.all(
    looks.map(async ([keys, look]) => {
      try {
        await look();
        return [];
      } catch (error) {
        const isOnlyFar = error instanceof NotCachedError || error instanceof DataSplitError;
        if (!(error instanceof LfpError)) throw error;
        return download && isOnlyFar ? [] : [issueAt(keys, error.message, "rule")];
      }
    }),
  );
  return found.flat();
}

const NO_DOWNLOAD = { download: false } as const;
