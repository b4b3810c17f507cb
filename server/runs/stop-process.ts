import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LfpError } from "../common/errors.ts";
import { cancelTarget, clearCancelRequest, requestCancel } from "./cancel.ts";
import { EventLog } from "./event-log.ts";
import { disk, errnoOf } from "./files.ts";
import { isSameProcess, livenessOf, type ProcessIdentity } from "./process-identity.ts";
import { readRecord, runPaths, writeRecord } from "./run-folder.ts";
import { Lock, lockHolder } from "./run-lock.ts";

/** The process of a run cannot be ended from here. */
export class NotStoppedError extends LfpError {
  readonly code = "resource";
}

/** How long a run has, by default, to save a checkpoint and end. */
export const GRACE_MS = 30_000;

/**
 * Asks the process that works on a run to stop after a checkpoint, waits until it has, and ends it by force after
 * `graceMs`, which is recorded as the run's end. Throws `NotStoppedError`.
 */
export async function stopProcess(runFolder: string, target: ProcessIdentity, graceMs = GRACE_MS): Promise<void> {
  const isHere = (await livenessOf(target)) === "alive";
  // A second signal would end the process before its checkpoint, so whoever asks later only waits.
  const isAsked = await isAskedToStop(runFolder, target);
  if (!isAsked) await requestCancel(runFolder, target);
  // Windows has no signal that a process could answer; it finds the request within half a second.
  if (!isAsked && isHere && process.platform !== "win32") signalProcess(target, "SIGTERM");
  if (await endsWithin(runFolder, target, graceMs)) return clearCancelRequest(runFolder);
  if (!isHere) {
    throw new NotStoppedError(
      `The run works on ${target.host} and has not stopped within ${graceMs / 1000} s; it still may. Stop it there.`,
    );
  }
  signalProcess(target, "SIGKILL");
  if (!(await endsWithin(runFolder, target, KILL_WAIT_MS))) {
    throw new NotStoppedError(`Process ${target.pid} cannot be ended; the system may be waiting for a device.`);
  }
  await clearCancelRequest(runFolder);
  await recordKill(runFolder, graceMs);
}

/** Whether somebody has asked this very process to stop. */
async function isAskedToStop(runFolder: string, target: ProcessIdentity): Promise<boolean> {
  const asked = await cancelTarget(runFolder).catch(() => undefined);
  return asked !== undefined && isSameProcess(asked, target);
}

const KILL_WAIT_MS = 10_000;

/**
 * A process that we started detached leads a process group that includes its helpers; one started from a shell does
 * not.
 */
function signalProcess({ pid }: ProcessIdentity, signal: "SIGTERM" | "SIGKILL"): void {
  const targets = signal === "SIGKILL" && process.platform !== "win32" ? [-pid, pid] : [pid];
  for (const target of targets) {
    try {
      process.kill(target, signal);
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw error;
    }
  }
}

async function endsWithin(runFolder: string, target: ProcessIdentity, limitMs: number): Promise<boolean> {
  return trueWithin(limitMs, async () => {
    const liveness = await livenessOf(target);
    if (liveness === "alive" || liveness === "gone") return liveness === "gone";
    return (await lockHolder(runPaths(runFolder).lock)) === undefined;
  });
}

/** Polls a condition until it holds or the limit has passed, at intervals that grow from `firstMs` to `mostMs`. */
export async function trueWithin(
  limitMs: number,
  isTrue: () => Promise<boolean>,
  { firstMs = 20, mostMs = 500 } = {},
): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  for (let waitMs = firstMs; ; waitMs = Math.min(mostMs, waitMs * 2)) {
    if (await isTrue()) return true;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(waitMs, leftMs));
  }
}

/** Records the end of a run on behalf of its killed process, which could not. */
async function recordKill(runFolder: string, graceMs: number): Promise<void> {
  const name = basename(runFolder);
  const lock = await Lock.acquire(runPaths(runFolder).lock, `run ${name}`, `ending run ${name}`);
  try {
    const record = await readRecord(runFolder);
    if (record === undefined) return;
    const stage = "stage" in record.state ? record.state.stage : undefined;
    const state = { kind: "cancelled" as const, ...(stage === undefined ? {} : { stage }) };
    const events = new EventLog(runPaths(runFolder).events, disk);
    const text = `The run did not stop within ${graceMs / 1000} s and was ended by force.`;
    events.append({ kind: "message", level: "warning", text });
    await writeRecord(runFolder, { ...record, state, updated: new Date().toISOString() });
    events.append({ kind: "state", state });
    events.close();
  } finally {
    await lock.release();
  }
}
