import { basename } from "node:path";
import { cancelRun } from "../../runs/jobs.ts";
import { type EndedRun, type ManyRuns, runMany } from "../../runs/many-runs.ts";
import { describeProcess, livenessOf } from "../../runs/process-identity.ts";
import { describeSilence, type LivingHolder, Lock, lockHolder } from "../../runs/run-lock.ts";
import { GRACE_MS, NotStoppedError, trueWithin } from "../../runs/stop-process.ts";
import type { OnWait } from "../../runs/submission-lease.ts";
import { sweepLock } from "./manifest.ts";
import { memberFolders } from "./members.ts";
import { NoSweepError, type PlacedRun } from "./sweep-folder.ts";

export interface SweepWork extends Omit<ManyRuns, "folders"> {
  /** Records the sweep in its folder and returns its runs; called while no other process works on the sweep. */
  readonly open: () => Promise<readonly PlacedRun[]>;
  /** Called with the runs before any of them is started. */
  readonly onRuns?: (runs: readonly PlacedRun[]) => Promise<void>;
}

/** A run of a sweep and how it ended. */
export type SweepRunEnd = PlacedRun & Omit<EndedRun, "folder">;

/**
 * Brings a sweep's runs to their ends. At most one process works on a sweep; whoever begins anew after it was killed
 * finds its runs by the manifest. Throws `LockedError`, and what `open` throws; a run that fails is no error.
 */
export async function runSweep(folder: string, { open, onRuns, ...many }: SweepWork): Promise<SweepRunEnd[]> {
  const name = `sweep ${basename(folder)}`;
  const lock = await Lock.acquire(sweepLock(folder), name, name);
  try {
    const runs = await open();
    await onRuns?.(runs);
    const signal = AbortSignal.any([many.signal, lock.lost]);
    const ended = await runMany({ ...many, signal, folders: runs.map((run) => run.folder) });
    return runs.flatMap((run, at) => {
      const end = ended[at];
      return end === undefined ? [] : [{ ...run, ...end }];
    });
  } finally {
    await lock.release();
  }
}

/**
 * Stops the process that works on a sweep, on seeds or on a calibration, which starts no more runs then, and every run,
 * each after a checkpoint.
 * Returns the names of the runs that were stopped. Throws `NotStoppedError`, `NoSweepError`, `SweepFolderError` and, once
 * all others are stopped, what `cancelRun` throws of a run.
 */
export async function cancelSweep(folder: string, graceMs?: number, onWait?: OnWait): Promise<string[]> {
  const runs = await memberFolders(folder);
  if (runs === undefined) throw new NoSweepError(folder);
  const holder = await lockHolder(sweepLock(folder));
  if (holder !== undefined) await endSubmitter(holder, graceMs);
  const ends = await Promise.allSettled(
    // The folder's own run makes something of the others.
    [...runs, folder].map(async (run) => ((await cancelRun(run, graceMs, onWait)) ? [basename(run)] : [])),
  );
  return ends.flatMap((end) => {
    if (end.status === "rejected") throw end.reason;
    return end.value;
  });
}

async function endSubmitter(holder: LivingHolder, graceMs = GRACE_MS): Promise<void> {
  const { process: submitter } = holder;
  if ((await livenessOf(submitter)) !== "alive")
    throw new NotStoppedError(
      `The sweep is worked on by ${describeProcess(submitter)}: stop it there.${describeSilence(holder)}`,
    );
  process.kill(submitter.pid, "SIGTERM");
  // It stops its runs before it ends.
  if (!(await trueWithin(graceMs + END_MS, async () => (await livenessOf(submitter)) === "gone")))
    throw new NotStoppedError(`${describeProcess(submitter)}, which works on the sweep, has not stopped.`);
}

const END_MS = 15_000;
