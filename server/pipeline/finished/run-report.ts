/** A finished run's report, with what people measured after the run. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { duration } from "../../common/duration.ts";
import { messageOf } from "../../common/errors.ts";
import { parseJson, tryJson } from "../../common/json.ts";
import { linesOf } from "../../common/lines.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { openRegular, readTextFile } from "../../common/text-file.ts";
import type { Calibration } from "../../protocol/calibration.ts";
import type { ReportFact } from "../../protocol/report.ts";
import { errnoOf, StorageError, unlessMissing } from "../../runs/files.ts";
import { RunFileError, readRecord, runPaths } from "../../runs/run-folder.ts";
import { FeatureStore, type LaterAblation } from "../../store/store.ts";
import { readCalibration } from "../artifacts/calibration-file.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import { withCalibration } from "../report/calibration-section.ts";
import { type Report, renderMarkdown, reportSchema } from "../report/document.ts";
import { withLaterAblations } from "../report/later-section.ts";
import { livingStore, storeToRead } from "./living-store.ts";

export interface RunReport {
  readonly report: Report;
  readonly markdown: string;
}

/**
 * Reads a run's report and adds later measurements; undefined if the run has none yet. Never changes `report.json`,
 * which holds what the run itself found. With `isReadOnly` it writes nothing at all; otherwise SQLite may write beside
 * the store.
 */
export async function readRunReport(
  runFolder: string,
  { isReadOnly = false }: { readonly isReadOnly?: boolean } = {},
): Promise<RunReport | undefined> {
  const own = await readOwn(join(runFolder, "report.json"));
  if (own === undefined) return undefined;
  const { ablations, problem } = await laterAblations(runFolder, isReadOnly);
  const calibrated = withCalibration(await withDate(own, runFolder), await calibrationOf(runFolder));
  const complete = withLaterAblations(calibrated, ablations);
  const report = problem === undefined ? complete : { ...complete, summary: [...complete.summary, problem] };
  return { report, markdown: renderMarkdown(report) };
}

/** The run's calibration; undefined if it cannot be read or was made with other settings. */
async function calibrationOf(runFolder: string): Promise<Calibration | undefined> {
  const experiment = await loadExperiment(runPaths(runFolder).experiment).catch(() => undefined);
  return experiment === undefined ? undefined : readCalibration(runFolder, experiment);
}

async function readOwn(path: string): Promise<Report | undefined> {
  try {
    const text = await unlessMissing(readTextFile(path, "result"));
    return text === undefined ? undefined : reportSchema.parse(parseJson(text));
  } catch (cause) {
    if (errnoOf(cause) !== undefined) throw new StorageError(`${path} cannot be read`, cause);
    const problem = cause instanceof z.ZodError ? schemaProblems(cause) : messageOf(cause);
    throw new RunFileError(
      `${path} is no report that this version can read: ${problem}. Remove it and run \`lfp run\` again: the last stage writes it anew.`,
      { cause },
    );
  }
}

/**
 * Adds when the run began and how long its stages worked, which no stage's output may contain; without events, when it
 * was last worked on.
 */
async function withDate(report: Report, runFolder: string): Promise<Report> {
  const { about } = report;
  if (about === undefined) return report;
  const { begun, workedMs } = await timesOf(runPaths(runFolder).events);
  const day = begun ?? (await readRecord(runFolder))?.updated;
  const facts: ReportFact[] = [];
  if (day !== undefined) {
    const name = begun === undefined ? "last worked on" : "begun";
    facts.push({ name, value: `${day.slice(0, 10)} ${day.slice(11, 16)} UTC` });
  }
  if (workedMs > 0) facts.push({ name: "worked for", value: duration(workedMs / 1000) });
  return { ...report, about: [...facts, ...about] };
}

const eventSchema = z.object({
  time: z.iso.datetime(),
  kind: z.string(),
  stage: z.string().optional(),
  workedMs: z.number().optional(),
});

/** When a run began, and how long its stages worked; a stage that was done again counts once. Passes over damaged lines. */
async function timesOf(path: string): Promise<{ readonly begun: string | undefined; readonly workedMs: number }> {
  await using handle = await unlessMissing(openRegular(path));
  let begun: string | undefined;
  const worked = new Map<string, number>();
  if (handle !== undefined) {
    for await (const line of linesOf(handle.createReadStream({ encoding: "utf8", autoClose: false }))) {
      const event = eventSchema.safeParse(tryJson(line)).data;
      begun ??= event?.time;
      if (event?.kind === "stage-finished") worked.set(event.stage ?? "", event.workedMs ?? 0);
    }
  }
  return { begun, workedMs: [...worked.values()].reduce((sum, ms) => sum + ms, 0) };
}

/** Ablations measured after the run; if the store cannot be read, a sentence saying so replaces them. */
async function laterAblations(
  runFolder: string,
  isReadOnly: boolean,
): Promise<{ readonly ablations: readonly LaterAblation[]; readonly problem?: string }> {
  const path = await (isReadOnly ? storeToRead : livingStore)(runFolder);
  if ((await unlessMissing(stat(path))) === undefined) return { ablations: [] };
  try {
    using store = FeatureStore.open(path, isReadOnly ? { writable: false } : {});
    return { ablations: store.laterAblations() };
  } catch (error) {
    return { ablations: [], problem: `What was measured after the run could not be read: ${messageOf(error)}` };
  }
}
