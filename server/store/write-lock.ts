/** A lock file beside a store, for processes of several machines that replace it. */

import { randomUUID } from "node:crypto";
import { closeSync, constants, linkSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
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

/** What stands in a lock's file. */
const holderSchema = z.object({
  host: z.string(),
  pid: z.int(),
  /** Of this holding alone; locks of older versions have none. */
  id: z.uuid().optional(),
});
type Holder = z.infer<typeof holderSchema>;

/** A lock's file as it was found. */
interface FoundLock {
  /** Tells the holding from every other. */
  readonly id: string;
  readonly holder: Holder | undefined;
  readonly modifiedMs: number;
}

/**
 * Runs `work` while no other process holds the lock of `path`. The lock of a dead process is taken over: at once on the
 * same machine, after five minutes from another. Throws `StoreError` (code `resource`) after ten seconds.
 *
 * A dead holding is removed by whoever has the right to remove that very holding, a lock of its own, and only while the
 * lock's file still names it: nobody removes a lock that was taken after he looked, with or without hard links.
 */
export function withWriteLock<T>(path: string, work: () => T, busyMs = BUSY_MS): T {
  const lock = `${path}.lock`;
  const own = `${lock}.${hostname()}-${process.pid}-${threadId}`;
  const holder: Holder = { host: hostname(), pid: process.pid, id: randomUUID() };
  const untilMs = performance.now() + busyMs;
  try {
    // Written anew each time, so that its time is the file server's current one.
    while (!taken(own, lock, holder)) {
      removeIfDead(lock, own, holder);
      if (performance.now() > untilMs) throw new StoreError(busyMessage(path, lock), { code: "resource" });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
  try {
    return work();
  } finally {
    if (lookAt(lock)?.id === holder.id) rmSync(lock, { force: true });
  }
}

/** A link is made or not on every file system, where an exclusive creation is not on old NFS. */
function taken(own: string, lock: string, holder: Holder): boolean {
  const text = JSON.stringify(holder);
  writeFileSync(own, text);
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    // A network may lose the answer to a link that was made.
    if (errnoOf(error) === "EEXIST") return statSync(own).nlink > 1;
    // No links here (FUSE, SMB): the exclusive creation is what there is.
    return takenByCreation(lock, text);
  }
}

function takenByCreation(lock: string, text: string): boolean {
  try {
    writeFileSync(lock, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

function removeIfDead(lock: string, own: string, holder: Holder): void {
  const found = lookAt(lock);
  if (found === undefined || !isDead(found, own)) return;
  const rights = takeRight(`${lock}.${found.id}`, own, holder);
  try {
    if (rights.length > 0 && lookAt(lock)?.id === found.id) rmSync(lock, { force: true });
  } catch {
    // The file system refuses (a file that is open elsewhere): the next try finds out.
  } finally {
    for (const right of rights) rmSync(right, { force: true });
  }
}

/**
 * Takes the right to remove a dead holding, and returns its file and those of processes that died with it, which the next
 * number follows; none where a living process has the right.
 */
function takeRight(prefix: string, own: string, holder: Holder): string[] {
  const aside = `${own}.right`;
  const rights: string[] = [];
  try {
    for (let number = 1; ; number++) {
      const right = `${prefix}.${number}`;
      rights.push(right);
      if (taken(aside, right, holder)) return rights;
      const found = lookAt(right);
      if (found === undefined || !isDead(found, aside)) return [];
    }
  } finally {
    rmSync(aside, { force: true });
  }
}

function lookAt(lock: string): FoundLock | undefined {
  const modifiedMs = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
  if (modifiedMs === undefined) return undefined;
  const holder = holderSchema.safeParse(tryJson(textOf(lock) ?? "")).data;
  return { id: holder?.id ?? `unnamed-${modifiedMs}`, holder, modifiedMs };
}

function isDead({ holder, modifiedMs }: FoundLock, own: string): boolean {
  if (holder?.host === hostname()) return !isAlive(holder.pid);
  const nowMs = statSync(own, { throwIfNoEntry: false })?.mtimeMs ?? modifiedMs;
  return nowMs - modifiedMs > STALE_MS;
}

function busyMessage(path: string, lock: string): string {
  const holder = lookAt(lock)?.holder;
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
