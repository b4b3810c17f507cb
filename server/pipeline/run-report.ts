/** A finished run's report, with what people measured after the run. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { readTextFile } from "../common/text-file.ts";
import { FeatureStore, type LaterAblation } from "../store/store.ts";
import { errnoOf, StorageError, unlessMissing } from "./files.ts";
import { livingStore } from "./living-store.ts";
import { type Report, renderMarkdown, reportSchema } from "./report/document.ts";
import { withLaterAblations } from "./report/later-section.ts";
import { RunFileError } from "./run-folder.ts";

export interface RunReport {
  readonly report: Report;
  readonly markdown: string;
}

/** Undefined where the run has no report yet. What it found itself stands in `report.json`, which this never changes. */
export async function readRunReport(runFolder: string): Promise<RunReport | undefined> {
  const own = await readOwn(join(runFolder, "report.json"));
  if (own === undefined) return undefined;
  const { ablations, problem } = await laterAblations(runFolder);
  const complete = withLaterAblations(own, ablations);
  const report = problem === undefined ? complete : { ...complete, summary: [...complete.summary, problem] };
  return { report, markdown: renderMarkdown(report) };
}

async function readOwn(path: string): Promise<Report | undefined> {
  try {
    const text = await unlessMissing(readTextFile(path, "result"));
    return text === undefined ? undefined : reportSchema.parse(parseJson(text));
  } catch (cause) {
    if (errnoOf(cause) !== undefined) throw new StorageError(`${path} cannot be read`, cause);
    const problem = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new RunFileError(
      `${path} is no report that this version can read: ${problem}. Remove it and run \`lfp run\` again: the last stage writes it anew.`,
      { cause },
    );
  }
}

/** A store that cannot be read costs its section, not the report. */
async function laterAblations(
  runFolder: string,
): Promise<{ readonly ablations: readonly LaterAblation[]; readonly problem?: string }> {
  const path = await livingStore(runFolder);
  if ((await unlessMissing(stat(path))) === undefined) return { ablations: [] };
  try {
    using store = FeatureStore.open(path);
    return { ablations: store.laterAblations() };
  } catch (error) {
    return { ablations: [], problem: `What was measured after the run could not be read: ${messageOf(error)}` };
  }
}
