import { tryJson } from "../common/json.ts";
import { hasEnded, type RunState } from "../protocol/run-events.ts";
import type { Executor, JobStanding, JobState } from "./executor.ts";
import { executors } from "./executors.ts";
import { textIfThere } from "./files.ts";
import { JobRecord, jobNameOf } from "./job-record.ts";
import { livenessOf, type ProcessIdentity } from "./process-identity.ts";
import { type RunRecord, readRecord, runPaths } from "./run-folder.ts";
import { type LockHolder, lockHolder } from "./run-lock.ts";
import type { AnyState } from "./state-words.ts";

/** A run's status, read from its folder. */
export interface RunStatus {
  /**
   * The run's state. `interrupted`: its process is gone without recording an end (killed, power cut, crash); running it
   * again resumes from the last checkpoint; `why` its executor ended it, if it did. `new`: it has never been started. A
   * job that waits for its executor is `waiting`.
   */
  readonly state: AnyState;
  /** Whether something works on it, or waits to. */
  readonly work: JobState;
  /** The living process that works on it, if it can be named. */
  readonly process: ProcessIdentity | undefined;
  /** What it waits for while it waits for its executor. */
  readonly waitsFor: string;
  /** `job.json`, where it was submitted. */
  readonly job: JobRecord | undefined;
  /** Whether its job ended for a reason that passes, so that it may be submitted again without asking. */
  readonly mayGoOn: boolean;
  /** `run.json`, if written. */
  readonly record: RunRecord | undefined;
}

/** A stage's status. `begun`: its process is gone; it resumes from its last checkpoint. */
export type StageStatus = RunRecord["stages"][number]["status"] | "begun" | "failed";

/** A stage's actual status; the record of an interrupted or failed run still says `running`. */
export function stageStatusOf(
  { state, work }: Pick<RunStatus, "state" | "work">,
  { id, status }: Pick<RunRecord["stages"][number], "id" | "status">,
): StageStatus {
  if (state.kind === "failed" && state.stage === id) return "failed";
  return status === "running" && work !== "working" ? "begun" : status;
}

/** Reads a run's status; any process may. Throws `RunFileError`, and what an executor's `state` throws. */
export async function runStatus(folder: string): Promise<RunStatus> {
  // Read the work first: a process that ends in between has recorded its end before it released the lock.
  const work = await runWork(folder);
  const record = await readRecord(folder);
  const { state, process, job, waitsFor, mayGoOn } = work;
  return { state: stateOf(record, work), work: state, process, waitsFor, job, mayGoOn, record };
}

/** The process or job that works on a run or is about to: the holder of its lock, or else the job submitted last. */
export interface RunWork extends Pick<RunStatus, "process" | "waitsFor" | "job" | "mayGoOn"> {
  readonly state: JobState;
  /** What the executor said of the job, if it was asked. */
  readonly standing: JobStanding | undefined;
}

/** Queries the lock, then the executor of the run's job. Throws what that executor's `state` throws. */
export async function runWork(folder: string): Promise<RunWork> {
  const holder = await lockHolder(runPaths(folder).lock);
  const job = await readJob(folder);
  const base = { process: undefined, waitsFor: STARTING, job, mayGoOn: false, standing: undefined };
  if (holder !== undefined && !(await isOutOfSight(holder, job)))
    return { ...base, state: "working", process: holder.process };
  if (job === undefined) return { ...base, state: "gone" };
  const executor = executorOf(job);
  const standing = await executor.state(folder, job);
  const { state } = standing;
  // A holder out of sight counts as long as nobody knows better.
  if (holder !== undefined && state !== "gone" && state !== "waiting")
    return { ...base, state: "working", process: holder.process };
  return {
    ...base,
    state,
    process: state === "working" ? executor.process(job) : undefined,
    waitsFor: waitOf(standing),
    mayGoOn: state === "gone" && standing.how === "passing",
    standing,
  };
}

/** Whether the lock is held by a job's process where we cannot see it, so that its executor knows more of it. */
async function isOutOfSight(holder: LockHolder, job: JobRecord | undefined): Promise<boolean> {
  const isOfJob = holder.job !== undefined && holder.job === jobNameOf(job);
  return isOfJob && (await livenessOf(holder.process)) !== "alive";
}

function waitOf(standing: JobStanding): string {
  if (standing.state === "waiting") return standing.for;
  return standing.state === "unknown" ? `word of its job: ${standing.why}` : STARTING;
}

/** `job.json`, if it exists and is valid; it only helps to find a job before its process has the run's lock. */
async function readJob(folder: string): Promise<JobRecord | undefined> {
  return JobRecord.safeParse(tryJson((await textIfThere(runPaths(folder).job, "record")) ?? "null")).data;
}

/** The executor that a job was submitted to. */
export function executorOf(record: JobRecord): Executor {
  return executors[record.executor];
}

/** What a started process waits for before it has written the run's record. */
const STARTING = "its start";

function stateOf(record: RunRecord | undefined, { state: work, waitsFor, job, standing }: RunWork): RunStatus["state"] {
  const isCurrent = record !== undefined && isOfJob(record, job);
  if (work === "working" && isCurrent && !isToGoOn(record.state, job)) return record.state;
  if (work !== "gone") return { kind: "waiting", for: waitsFor };
  const { why, how } = standing?.state === "gone" ? standing : {};
  const interrupted = { kind: "interrupted", ...(why === undefined ? {} : { why }) } as const;
  if (!isCurrent) return job === undefined ? { kind: "new" } : interrupted;
  const { state } = record;
  if (state.kind === "cancelled" && how === "passing") return interrupted;
  if (hasEnded(state)) return state;
  return how === "stopped" ? { kind: "cancelled", ...("stage" in state ? { stage: state.stage } : {}) } : interrupted;
}

/** Whether the record is of the job that was submitted last, and not of an earlier attempt. */
function isOfJob(record: RunRecord, job: JobRecord | undefined): boolean {
  const name = jobNameOf(job);
  // Clocks of two machines may differ; names do not.
  if (record.job !== undefined) return job === undefined || record.job === name;
  return job === undefined || job.submittedAt <= record.updated;
}

/** Whether a process of a cluster's job has saved and ended, and its job is about to be started again. */
function isToGoOn(state: RunState, job: JobRecord | undefined): boolean {
  return state.kind === "cancelled" && jobNameOf(job) !== undefined;
}
