/** The right to submit a run, which one process at a time has. */
import { basename, join } from "node:path";
import { runPaths } from "./run-folder.ts";
import { describeHolder, describeSilence, Lock, LockedError } from "./run-lock.ts";
import { trueWithin } from "./stop-process.ts";

/** Receives, as a sentence, for whom a call waits that takes longer than usual. */
export type OnWait = (what: string) => void;

/** Longer than a cluster's command may take. */
const LEASE_MS = 90_000;
/** A submission takes a second or two; who waits longer is told for whom. */
const TELL_MS = 2000;

/** The lock's folder. */
export function leaseOf(folder: string): string {
  return join(runPaths(folder).jobs, "submission");
}

/**
 * Acquires the right to submit a run, once whoever is submitting it has done so, and calls `onWait` where that takes long.
 * Throws `LockedError` where it takes more than `limitMs`.
 */
export async function submissionLease(
  folder: string,
  { limitMs = LEASE_MS, onWait }: { readonly limitMs?: number; readonly onWait?: OnWait | undefined } = {},
): Promise<Lock> {
  const purpose = `submitting run ${basename(folder)}`;
  const tellAtMs = performance.now() + TELL_MS;
  let told: string | undefined;
  let lease: Lock | undefined;
  let refusal: LockedError | undefined;
  const acquire = async (): Promise<boolean> => {
    try {
      lease = await Lock.acquire(leaseOf(folder), `run ${basename(folder)}`, purpose);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      refusal = error;
      // Another sign of life of the same holder is no news.
      const who = describeHolder(error.holder);
      if (performance.now() >= tellAtMs && who !== told) {
        told = who;
        onWait?.(`This waits, for ${limitMs / 1000} s at most, for ${who}.${describeSilence(error.holder)}`);
      }
    }
    return lease !== undefined;
  };
  await trueWithin(limitMs, acquire);
  if (lease === undefined) throw refusal;
  return lease;
}
