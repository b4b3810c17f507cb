/** Finds the row of a data file that a text of a finished run comes from. */
import { basename } from "node:path";
import { LfpError } from "../../common/errors.ts";
import { readTextFile } from "../../common/text-file.ts";
import { csvRecords } from "../../protocol/csv-places.ts";
import { runPaths } from "../../runs/run-folder.ts";
import { dataFilesOf } from "../experiment/inputs.ts";
import { loadExperiment } from "../experiment/resolve.ts";

/** A text comes from no data file of its run that is on this machine. */
export class SourceNotFoundError extends LfpError {
  readonly code = "not-found";
}

export interface SourcePlace {
  /** Absolute. */
  readonly path: string;
  /** Line of the row, from 0; null in a file that has no lines to go to. */
  readonly line: number | null;
}

/**
 * The file and line of a text, by its id such as `reviews.jsonl/17`, in the data of the experiment of the run in
 * `folder`. Downloads nothing. Throws `SourceNotFoundError`, and what `loadExperiment` and `dataFilesOf` throw.
 */
export async function locateSource(folder: string, source: string): Promise<SourcePlace> {
  const { data, analysis } = await loadExperiment(runPaths(folder).experiment);
  // Examples come from the analysis texts where there are any.
  const sources = [...(analysis === null ? [] : [{ ...analysis, prefix: "analysis-" }]), { ...data, prefix: "" }];
  for (const { source: from, prefix } of sources) {
    const files = await dataFilesOf(from, { download: false });
    for (const [index, path] of files.entries()) {
      const name = basename(path);
      // Pairs of several files have numbered names.
      const row = rowOf(source, [name, prefix + name, `${prefix}${index}-${name}`]);
      if (row !== undefined) return { path, line: await lineOf(path, row) };
    }
  }
  throw new SourceNotFoundError(`${source.slice(0, 200)} is in no data file of the run's experiment on this machine.`);
}

/** The row in an id that begins with one of the names: `NAME/17`, or of a pair `NAME/17/chosen`. */
function rowOf(source: string, names: readonly string[]): number | undefined {
  const name = names.find((one) => source.startsWith(`${one}/`));
  const found = name === undefined ? null : /^(\d{1,9})(?:\/|$)/.exec(source.slice(name.length + 1));
  return found === null ? undefined : Number(found[1]);
}

async function lineOf(path: string, row: number): Promise<number | null> {
  const name = path.toLowerCase();
  if (name.endsWith(".jsonl")) return row;
  if (!name.endsWith(".csv")) return null;
  const text = await readTextFile(path, "text");
  let at = -1;
  for (const { start } of csvRecords(text, ",")) {
    // The first record is the header.
    if (at === row) return text.slice(0, start).split("\n").length - 1;
    at += 1;
  }
  return null;
}
