/** Starting and stopping runs, with any executor. */
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError } from "../common/errors.ts";
import { hasEnded } from "../protocol/run-events.ts";
import { clearCancelRequest } from "./cancel.ts";
import type { Executor, JobSpec } from "./executor.ts";
import type { Place } from "./executor-settings.ts";
import { executors } from "./executors.ts";
import { disk, remove } from "./files.ts";
import { type JobRecord, jobNameOf } from "./job-record.ts";
import { noteOwnJob } from "./own-jobs.ts";
import { runPaths } from "./run-folder.ts";
import { Lock, LockedError } from "./run-lock.ts";
import { executorOf, runStatus, runWork } from "./run-status.ts";
import { stopProcess, trueWithin } from "./stop-process.ts";

/** A run has been submitted already and is queued, or works where no process can be named. */
export class JobThereError extends LfpError {
  readonly code = "locked";

  constructor(runFolder: string, isDoing: string) {
    super(
      `run ${basename(runFolder)} ${isDoing} already. Wait for it, or stop it with \`lfp cancel\`, then run this again.`,
    );
  }
}

/** This machine, the default place of runs. */
const HERE: Place = { executor: "local", settings: {} };

/**
 * Starts a run that outlives the caller, and writes its record to the run's folder. One process at a time submits a run,
 * and one that comes to go on with a run (`isAgain`) after another did finds it taken. Throws `LockedError` or
 * `JobThereError` where something works on the run or is queued to, and what the executor's `submit` throws.
 */
export async function submitRun(job: JobSpec, place: Place = HERE): Promise<JobRecord> {
  await mkdir(job.runFolder, { recursive: true });
  const lease = await submissionLease(job.runFolder);
  try {
    await refuseUnlessFree(job);
    return await submitFree(job, place);
  } finally {
    await lease.release();
  }
}

/** Submits a run that nothing works on; the caller holds its lease. */
async function submitFree(job: JobSpec, { executor: kind, settings }: Place): Promise<JobRecord> {
  await clearCancelRequest(job.runFolder);
  const executor: Executor = executors[kind];
  const keep = (record: JobRecord) =>
    writeFileAtomically(runPaths(job.runFolder).job, `${JSON.stringify(record, null, 2)}\n`);
  const record = await executor.submit(job, settings, keep);
  try {
    await keep(record);
  } catch (error) {
    // Without its record nobody could find the job while it waits.
    await executor.cancel(job.runFolder, record).catch(() => undefined);
    throw error;
  }
  const name = jobNameOf(record);
  if (name !== undefined) await noteOwnJob(name);
  return record;
}

/** Longer than a cluster's command may take. */
const LEASE_MS = 90_000;

/** The right to submit a run, once whoever is submitting it has done so. Throws `LockedError` where that takes too long. */
async function submissionLease(folder: string): Promise<Lock> {
  const purpose = `submitting run ${basename(folder)}`;
  let lease: Lock | undefined;
  let refusal: LockedError | undefined;
  const acquire = async (): Promise<boolean> => {
    try {
      lease = await Lock.acquire(join(runPaths(folder).jobs, "submission"), `run ${basename(folder)}`, purpose);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      refusal = error;
    }
    return lease !== undefined;
  };
  await trueWithin(LEASE_MS, acquire);
  if (lease === undefined) throw refusal;
  return lease;
}

/**
 * Stops the job or process that works on a run or waits to, and returns when it is gone; false if there was nothing to
 * stop. Throws what the executor's `cancel` throws.
 */
export async function cancelRun(folder: string, graceMs?: number): Promise<boolean> {
  const { state, job, process } = await runWork(folder);
  if (state === "gone") return false;
  if (job !== undefined && (await executorOf(job).state(folder, job)).state !== "gone")
    await executorOf(job).cancel(folder, job, graceMs);
  // Started by hand: the job, if there is one, is of an earlier attempt.
  else if (process !== undefined) await stopProcess(folder, process, graceMs);
  await forgetUnbegun(folder);
  return true;
}

/**
 * Removes the record of a job that was stopped before it started work: the run's state is again that before the job.
 */
async function forgetUnbegun(folder: string): Promise<void> {
  const { work, job, record } = await runStatus(folder);
  const hasBegun = job === undefined || (record !== undefined && job.submittedAt <= record.updated);
  if (work === "gone" && !hasBegun) await remove(runPaths(folder).job, disk);
}

/** How long a run whose record says that it has ended may take to exit. */
const END_WAIT_MS = 10_000;

async function refuseUnlessFree({ runFolder: folder, isAgain = false }: JobSpec): Promise<void> {
  const { work, state, process, waitsFor, mayGoOn } = await runStatus(folder);
  if (isAgain && work === "gone" && !mayGoOn) throw new JobThereError(folder, "has gone on and ended");
  if (work === "gone") return;
  if (work === "waiting" || work === "unknown") throw new JobThereError(folder, `waits for ${waitsFor}`);
  const isOver = state.kind !== "new" && state.kind !== "interrupted" && hasEnded(state);
  if (isOver && (await trueWithin(END_WAIT_MS, async () => (await runWork(folder)).state === "gone"))) return;
  if (process === undefined) throw new JobThereError(folder, "is being worked on");
  const purpose = `run ${basename(folder)}`;
  throw new LockedError(purpose, { process, purpose, since: "its start" });
}
