import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { messageOf } from "../../common/errors.ts";
import { tryJson } from "../../common/json.ts";
import { linesOf } from "../../common/lines.ts";
import { openRegular } from "../../common/text-file.ts";
import { message, visibleLine } from "../../common/untrusted-text.ts";
import { estimateRun } from "../../pipeline/finished/run-estimate.ts";
import { dictionariesOf } from "../../pipeline/finished/run-identity.ts";
import { summariseMetrics, summariseStage } from "../../pipeline/finished/summaries.ts";
import { sweepLock } from "../../pipeline/sweep/manifest.ts";
import { readMembers } from "../../pipeline/sweep/members.ts";
import type { RunView, StageView } from "../../protocol/runs.ts";
import { cancelTarget } from "../../runs/cancel.ts";
import { lastLines, lastProgress, parseEvent } from "../../runs/event-tail.ts";
import { unlessMissing } from "../../runs/files.ts";
import type { JobRecord } from "../../runs/job-record.ts";
import { isSameProcess, type ProcessIdentity } from "../../runs/process-identity.ts";
import { type RunRecord, runPaths } from "../../runs/run-folder.ts";
import { lockHolder } from "../../runs/run-lock.ts";
import { type RunStatus, runStatus, stageStatusOf } from "../../runs/run-status.ts";

/**
 * Cache of facts about stages that no longer change: summaries of finished stages, keyed by what identifies their
 * output, and the first log lines of running ones.
 */
export type SummaryCache = Map<string, string | null>;

/** What a view of a run needs beside its folder. */
export interface ViewOptions {
  readonly summaries: SummaryCache;
  /** The sweep that asks for the run. */
  readonly sweep?: string | null;
  /** Whether the server is about to submit a run again whose job ended for a passing reason. */
  readonly goesOn?: ((folder: string, job: JobRecord) => Promise<boolean>) | undefined;
}

/** Reads a run from its folder. Never throws: an unreadable folder gives a view that says so. */
export async function viewRun(folder: string, options: ViewOptions): Promise<RunView> {
  const { summaries, sweep = null } = options;
  const base = { folder, name: basename(folder), sweep };
  try {
    const status = await runStatus(folder);
    const { record } = status;
    const events = await lastLines(runPaths(folder).events);
    const records = record?.stages ?? [];
    const stages = await Promise.all(records.map((stage) => viewStage(folder, stage, status, events, summaries)));
    return {
      ...base,
      state: (await isToGoOn(folder, status, options))
        ? GOES_ON
        : ((await stateOfMembers(folder, status)) ?? shown(status.state)),
      stages,
      overall: status.state.kind === "running" ? estimateOf(records, stages, events) : null,
      stopping: status.work !== "gone" && (await isStopping(folder, status.process)),
      updated: record?.updated ?? null,
      hasReport: (await unlessMissing(stat(join(folder, "report.json")))) !== undefined,
      hasProbe: hasProbe(record),
      dictionaries: dictionariesOf(record),
      hasOutput: ((await unlessMissing(stat(runPaths(folder).output)))?.size ?? 0) > 0,
    };
  } catch (error) {
    const state = { kind: "unreadable", message: message(messageOf(error)) } as const;
    return { ...base, state, stages: [], updated: null, hasReport: false, hasProbe: false, ...unknown };
  }
}

/** Of a run that cannot be read. */
const unknown = { dictionaries: null, stopping: false, overall: null, hasOutput: false } as const;

const GOES_ON = { kind: "waiting", for: "its job to be submitted again" } as const;

async function isToGoOn(folder: string, { mayGoOn, job }: RunStatus, { goesOn }: ViewOptions): Promise<boolean> {
  return mayGoOn && job !== undefined && goesOn !== undefined && (await goesOn(folder, job));
}

/**
 * The state of a folder for the common result of several runs while a command makes these, and after it has ended before
 * that result was begun; undefined otherwise.
 */
async function stateOfMembers(folder: string, { work, record }: RunStatus): Promise<RunView["state"] | undefined> {
  const members = await readMembers(folder);
  if (members === undefined) return undefined;
  const { length } = members.runs;
  if ((await lockHolder(sweepLock(folder))) !== undefined)
    return { kind: "waiting", for: length === 1 ? "its one run" : `its ${length} runs` };
  return work === "gone" && record === undefined ? MEMBERS_LEFT : undefined;
}

const MEMBERS_LEFT = { kind: "interrupted", why: "the command that makes its runs ended before they did" } as const;

/** Whether the process that works on a run was asked to stop. */
async function isStopping(folder: string, process: ProcessIdentity | undefined): Promise<boolean> {
  const asked = await cancelTarget(folder).catch(() => undefined);
  return asked !== undefined && process !== undefined && isSameProcess(asked, process);
}

/** The run's progress as a whole, from its stages and from what the finished ones took. */
function estimateOf(
  records: readonly StageRecord[],
  views: readonly StageView[],
  events: readonly string[],
): RunView["overall"] {
  const workedMs = new Map<string, number>();
  for (const line of events) {
    const event = line.includes('"stage-finished"') ? parseEvent(line) : undefined;
    if (event?.kind === "stage-finished") workedMs.set(event.stage, event.workedMs);
  }
  const timed = records.map(({ id, stage }, at) => {
    const { status, progress } = views[at] ?? { status: "todo" as const, progress: null };
    return { stage, status, progress, workedMs: workedMs.get(id) ?? null };
  });
  return estimateRun(timed);
}

/** Escapes control characters in the texts of `run.json`, which may come from anywhere. */
function shown(state: RunStatus["state"]): RunStatus["state"] {
  if (state.kind === "waiting") return { ...state, for: visibleLine(state.for) };
  if (state.kind === "failed") return { ...state, message: message(state.message) };
  if (state.kind === "interrupted" && state.why !== undefined) return { ...state, why: visibleLine(state.why) };
  return state;
}

type StageRecord = RunRecord["stages"][number];

async function viewStage(
  folder: string,
  record: StageRecord,
  run: RunStatus,
  events: readonly string[],
  summaries: SummaryCache,
): Promise<StageView> {
  const { id } = record;
  const isFinished = record.status === "done" || record.status === "reused";
  const found = stageStatusOf(run, record);
  const status = found === "begun" ? "todo" : found;
  const progress = isFinished || record.status === "todo" ? null : lastProgress(events, id);
  const summary = isFinished
    ? await finishedSummary(folder, record, summaries)
    : status === "running"
      ? await runningSummary(folder, record, summaries)
      : null;
  return { id, status, progress, summary };
}

async function finishedSummary(folder: string, record: StageRecord, summaries: SummaryCache): Promise<string | null> {
  const { output, digest, stage } = record;
  if (output === undefined || digest === undefined || !/^stages\/[a-z0-9-]+$/.test(output)) return null;
  const key = `${folder} ${digest} ${stage}`;
  const known = summaries.get(key);
  if (known !== undefined) return known;
  // The summary is optional: reporting an unreadable output is the run's task.
  const summary = await summariseStage(stage, join(folder, output)).catch(() => null);
  summaries.set(key, summary);
  return summary;
}

async function runningSummary(
  folder: string,
  { stage, id, key = "" }: StageRecord,
  summaries: SummaryCache,
): Promise<string | null> {
  const { log } = runPaths(folder);
  const lines = await lastLines(log);
  const line = tryJson(lines.at(-1) ?? "null");
  if (typeof line !== "object" || line === null || !("stage" in line) || line.stage !== id) return null;
  const name = `first line of ${folder} ${id} ${key}`;
  const first = summaries.get(name) ?? (await firstLine(log, id));
  summaries.set(name, first);
  return summariseMetrics(stage, { ...line }, tryJson(first ?? "null"));
}

/** The first line that a stage logged. */
async function firstLine(path: string, stage: string): Promise<string | null> {
  await using handle = await unlessMissing(openRegular(path));
  if (handle === undefined) return null;
  const beginning = `{"stage":${JSON.stringify(stage)},`;
  for await (const line of linesOf(handle.createReadStream({ encoding: "utf8", autoClose: false })))
    if (line.startsWith(beginning)) return line;
  return null;
}

function hasProbe(record: RunRecord | undefined): boolean {
  const finished = (id: string): boolean =>
    record?.stages.some((stage) => stage.stage === id && (stage.status === "done" || stage.status === "reused")) ??
    false;
  return finished("probe") && finished("autoencoders");
}
