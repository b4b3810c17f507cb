/** A finished run's report, with what people measured after the run. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../common/errors.ts";
import { FeatureStore, type LaterAblation } from "../store/store.ts";
import { unlessMissing } from "./files.ts";
import { livingStore } from "./living-store.ts";
import { type Report, renderMarkdown, reportSchema } from "./report/document.ts";
import { withLaterAblations } from "./report/later-section.ts";

export interface RunReport {
  readonly report: Report;
  readonly markdown: string;
}

/** Undefined where the run has no report yet. What it found itself stands in `report.json`, which this never changes. */
export async function readRunReport(runFolder: string): Promise<RunReport | undefined> {
  const text = await unlessMissing(readFile(join(runFolder, "report.json"), "utf8"));
  if (text === undefined) return undefined;
  const own = reportSchema.parse(JSON.parse(text));
  const { ablations, problem } = await laterAblations(runFolder);
  const complete = withLaterAblations(own, ablations);
  const report = problem === undefined ? complete : { ...complete, summary: [...complete.summary, problem] };
  return { report, markdown: renderMarkdown(report) };
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
