import { tryJson } from "../common/json.ts";
import { hasEnded, type RunState } from "../protocol/run-events.ts";
import type { Executor, JobState } from "./executor.ts";
import { executors } from "./executors.ts";
import { textIfThere } from "./files.ts";
import { JobRecord } from "./job-record.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { type RunRecord, readRecord, runPaths } from "./run-folder.ts";
import { lockHolder } from "./run-lock.ts";

/** A run's status, read from its folder. */
export interface RunStatus {
  /**
   * The run's state. `interrupted`: its process is gone without recording an end (killed, power cut, crash); running it
   * again resumes from the last checkpoint. `new`: it has never been started. A job that waits for its executor is
   * `waiting`.
   */
  readonly state: RunState | { readonly kind: "interrupted" } | { readonly kind: "new" };
  /** Whether something works on it, or waits to. */
  readonly work: JobState;
  /** The living process that works on it, if it can be named. */
  readonly process: ProcessIdentity | undefined;
  /** What it waits for while it waits for its executor. */
  readonly waitsFor: string;
  /** `job.json`, where it was submitted. */
  readonly job: JobRecord | undefined;
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
  const { state: work, process, job, waitsFor } = await runWork(folder);
  const record = await readRecord(folder);
  return { state: stateOf(record, work, waitsFor, job), work, process, waitsFor, job, record };
}

/** The process or job that works on a run or is about to: the holder of its lock, or else the job submitted last. */
export interface RunWork extends Pick<RunStatus, "process" | "waitsFor" | "job"> {
  readonly state: JobState;
}

/** Queries the lock, then the executor of the run's job. Throws what that executor's `state` throws. */
export async function runWork(folder: string): Promise<RunWork> {
  const holder = await lockHolder(runPaths(folder).lock);
  const job = await readJob(folder);
  if (holder !== undefined) return { state: "working", process: holder.process, waitsFor: STARTING, job };
  if (job === undefined) return { state: "gone", process: undefined, waitsFor: STARTING, job };
  const executor = executorOf(job);
  const state = await executor.state(folder, job);
  return {
    state,
    process: state === "working" ? executor.process(job) : undefined,
    waitsFor: state === "waiting" ? executor.waitsFor : STARTING,
    job,
  };
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

function stateOf(
  record: RunRecord | undefined,
  work: JobState,
  waitsFor: string,
  job: JobRecord | undefined,
): RunStatus["state"] {
  // The record may be an earlier attempt's.
  const isCurrent = record !== undefined && (job === undefined || job.submittedAt <= record.updated);
  if (work === "working" && isCurrent) return record.state;
  if (work !== "gone") return { kind: "waiting", for: waitsFor };
  if (isCurrent) return hasEnded(record.state) ? record.state : { kind: "interrupted" };
  return { kind: job === undefined ? "new" : "interrupted" };
}
