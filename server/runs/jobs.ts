/** Starting and stopping runs, with any executor. */
import { mkdir } from "node:fs/promises";
import { basename } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { invariant, LfpError } from "../common/errors.ts";
import { hasEnded } from "../protocol/run-events.ts";
import { clearCancelRequest } from "./cancel.ts";
import { noteCancelled } from "./cluster-job.ts";
import { ArrayRefusedError, type Executor, type JobSpec } from "./executor.ts";
import type { Place } from "./executor-settings.ts";
import { executors } from "./executors.ts";
import { disk, remove } from "./files.ts";
import { type JobRecord, jobNameOf } from "./job-record.ts";
import { noteOwnJob } from "./own-jobs.ts";
import { readRecord, runPaths } from "./run-folder.ts";
import { type Lock, LockedError, lockHolder } from "./run-lock.ts";
import { executorOf, runStatus, runWork } from "./run-status.ts";
import { stopProcess, trueWithin } from "./stop-process.ts";
import { leaseOf, type OnWait, submissionLease } from "./submission-lease.ts";

/** A run has been submitted already and is queued, or works where no process can be named. */
export class JobThereError extends LfpError {
  readonly code = "locked";

  constructor(runFolder: string, isDoing: string) {
    super(
      `run ${basename(runFolder)} ${isDoing} already. Wait for it, or stop it with \`lfp cancel\`, then run this again.`,
    );
  }
}

/** A run of an array that another process is submitting is left to that one. */
const ARRAY_LEASE_MS = 1000;

/** This machine, the default place of runs. */
const HERE: Place = { executor: "local", settings: {} };

/**
 * Starts a run that outlives the caller, and writes its record to the run's folder. One process at a time submits a run,
 * and one that comes to go on with a run (`isAgain`) after another did finds it taken; `onWait` hears of a wait. Throws `LockedError` or
 * `JobThereError` where something works on the run or is queued to, and what the executor's `submit` throws.
 */
export async function submitRun(job: JobSpec, place: Place = HERE, onWait?: OnWait): Promise<JobRecord> {
  await mkdir(job.runFolder, { recursive: true });
  const lease = await submissionLease(job.runFolder, { onWait });
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
  const record = await executor
    .submit(job, settings, (intent) => keepRecord(job, intent))
    .catch(async (error: unknown) => {
      // A run that is done has lost nothing by a job that never was; any other shows why it does not work.
      if ((await readRecord(job.runFolder))?.state.kind === "done") await forgetUnbegun(job.runFolder);
      throw error;
    });
  await keepOrCancel(job, record, executor);
  await noteOwn(record);
  return record;
}

/** Whether a place takes arrays of jobs. */
export function hasArrays({ executor: kind }: Place): boolean {
  const executor: Executor = executors[kind];
  return executor.submitArray !== undefined;
}

/**
 * Starts runs as one array of jobs, of which at most so many work at a time. Returns for each why it was not started, or
 * undefined if it was; and undefined for all where no array can be had, and then nothing was started. Throws what the
 * executor's `submitArray` throws.
 */
export async function submitRuns(
  jobs: readonly JobSpec[],
  atMost: number,
  { executor: kind, settings }: Place,
): Promise<readonly (Error | undefined)[] | undefined> {
  const executor: Executor = executors[kind];
  if (executor.submitArray === undefined) return undefined;
  const failures = new Map<JobSpec, Error>();
  const leases: Lock[] = [];
  try {
    for (const job of jobs) {
      await mkdir(job.runFolder, { recursive: true });
      try {
        leases.push(await submissionLease(job.runFolder, { limitMs: ARRAY_LEASE_MS }));
        await refuseUnlessFree(job);
        await clearCancelRequest(job.runFolder);
      } catch (error) {
        failures.set(job, errorOf(error));
      }
    }
    const free = jobs.filter((job) => !failures.has(job));
    const records = free.length === 0 ? [] : await executor.submitArray(free, settings, { atMost, keep: keepRecord });
    for (const [at, job] of free.entries()) {
      const record = records[at];
      invariant(record !== undefined, "an array has a record for each job");
      await keepOrCancel(job, record, executor).catch((error: unknown) => failures.set(job, errorOf(error)));
    }
    await noteOwn(records[0]);
    return jobs.map((job) => failures.get(job));
  } catch (error) {
    if (error instanceof ArrayRefusedError) return undefined;
    throw error;
  } finally {
    for (const lease of leases) await lease.release();
  }
}

async function keepRecord({ runFolder }: JobSpec, record: JobRecord): Promise<void> {
  await writeFileAtomically(runPaths(runFolder).job, `${JSON.stringify(record, null, 2)}\n`);
}

async function keepOrCancel(job: JobSpec, record: JobRecord, executor: Executor): Promise<void> {
  try {
    await keepRecord(job, record);
  } catch (error) {
    // Without its record nobody could find the job while it waits.
    await executor.cancel(job.runFolder, record).catch(() => undefined);
    throw error;
  }
}

/** Notes that this user has a run's job. */
async function noteOwn(record: JobRecord | undefined): Promise<void> {
  const name = jobNameOf(record);
  if (name !== undefined) await noteOwnJob(name);
}

/** An error that is one run's. An error that is not ours is a defect, and thrown. */
function errorOf(error: unknown): Error {
  if (error instanceof LfpError && error.code !== "internal") return error;
  throw error;
}

/**
 * Stops the job or process that works on a run or waits to, and returns when it is gone; false if there was nothing to
 * stop. A run whose job ended for a passing reason stays as it is then, whoever watches it. `onWait` hears of a wait for
 * somebody who is submitting the run. Throws what the executor's `cancel` throws, and `LockedError`.
 */
export async function cancelRun(folder: string, graceMs?: number, onWait?: OnWait): Promise<boolean> {
  const isSubmitted = (await lockHolder(leaseOf(folder))) !== undefined;
  if ((isSubmitted || (await runWork(folder)).mayGoOn) && (await endForGood(folder, onWait))) return true;
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
 * Waits for whoever is submitting a run, and notes that the run is not to go on by itself; false if there is nothing that
 * it could go on from, or another job has gone on with it.
 */
async function endForGood(folder: string, onWait: OnWait | undefined): Promise<boolean> {
  const lease = await submissionLease(folder, { onWait });
  try {
    const { mayGoOn, job } = await runWork(folder);
    const name = jobNameOf(job);
    if (!mayGoOn || name === undefined) return false;
    await noteCancelled(folder, name);
    return true;
  } finally {
    await lease.release();
  }
}

/** Removes the record of a job that ended before it started work: the run's state is again that before the job. */
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
