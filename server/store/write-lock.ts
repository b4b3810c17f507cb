/** A lock file beside a store, for processes of several machines that replace it. */

import {
  closeSync,
  constants,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { threadId } from "node:worker_threads";
import { z } from "zod";
import { isAlive } from "../common/alive.ts";
import { tryJson } from "../common/json.ts";
import { errnoOf } from "../common/system-errors.ts";
import { StoreError } from "./errors.ts";

/** How long to wait for another process. */
const BUSY_MS = 10_000;
const RETRY_MS = 20;
/** A replacement takes seconds; longer than network file systems cache. */
const STALE_MS = 300_000;

const holderSchema = z.object({ host: z.string(), pid: z.int() });

/**
 * Runs `work` while no other process holds the lock of `path`. The lock of a dead process is taken over: at once on the
 * same machine, after five minutes from another. Throws `StoreError` (code `resource`) after ten seconds.
 */
export function withWriteLock<T>(path: string, work: () => T, busyMs = BUSY_MS): T {
  const lock = `${path}.lock`;
  const own = `${lock}.${hostname()}-${process.pid}-${threadId}`;
  const untilMs = performance.now() + busyMs;
  try {
    // Written anew each time, so that its time is the file server's current one.
    while (!taken(own, lock)) {
      removeIfDead(lock, own);
      if (performance.now() > untilMs) throw new StoreError(busyMessage(path, lock), { code: "resource" });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const inode = inodeOf(lock);
  try {
    return work();
  } finally {
    if (inodeOf(lock) === inode) rmSync(lock, { force: true });
  }
}

/** A link is made or not on every file system, where an exclusive creation is not on old NFS. */
function taken(own: string, lock: string): boolean {
  const holder = JSON.stringify({ host: hostname(), pid: process.pid });
  writeFileSync(own, holder);
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    // A network may lose the answer to a link that was made.
    if (errnoOf(error) === "EEXIST") return statSync(own).nlink > 1;
    // No links here (FUSE, SMB): the exclusive creation is what there is.
    return takenByCreation(lock, holder);
  }
}

function takenByCreation(lock: string, holder: string): boolean {
  try {
    writeFileSync(lock, holder, { flag: "wx" });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

function removeIfDead(lock: string, own: string): void {
  const found = statSync(lock, { bigint: true, throwIfNoEntry: false });
  if (found === undefined || !isDead(lock, Number(found.mtimeMs), own)) return;
  const aside = `${own}.dead`;
  try {
    renameSync(lock, aside);
    // Another process may have removed the dead one's lock and taken its own in between: that goes back.
    if (inodeOf(aside) !== found.ino) linkSync(aside, lock);
  } catch {
    // Someone else was first; the next try finds out.
  } finally {
    rmSync(aside, { force: true });
  }
}

function isDead(lock: string, sinceMs: number, own: string): boolean {
  const holder = holderSchema.safeParse(tryJson(textOf(lock) ?? "")).data;
  if (holder?.host === hostname()) return !isAlive(holder.pid);
  const nowMs = statSync(own, { throwIfNoEntry: false })?.mtimeMs ?? sinceMs;
  return nowMs - sinceMs > STALE_MS;
}

function busyMessage(path: string, lock: string): string {
  const holder = holderSchema.safeParse(tryJson(textOf(lock) ?? "")).data;
  const who = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
  return `${path} could not be written: ${who} is writing it. Try again; if that process is gone, delete ${lock}`;
}

/** The beginning of a file, in which a holder has its place; it neither waits for a pipe nor takes memory for a large file. */
function textOf(path: string): string | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const bytes = Buffer.alloc(1024);
      return bytes.toString("utf8", 0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
