/**
 * Local working copies of stores on network file systems. SQLite's write-ahead log needs memory that all its readers
 * share, and its locks those of the file system; neither can be relied on there (https://sqlite.org/wal.html,
 * https://sqlite.org/howtocorrupt.html 2.1). So the store is only ever read whole and replaced whole.
 */

import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { LfpError, messageOf } from "../common/errors.ts";
import { StoreError } from "./errors.ts";
import { copyInto, removeQuietly, temporaryFolder } from "./local-copy.ts";
import { withWriteLock } from "./write-lock.ts";

/** The store could not be replaced by its changed working copy. */
export class StoreNotPublishedError extends LfpError {
  readonly code = "resource";

  constructor(target: string, cause: unknown) {
    super(
      `${target} could not be replaced by its changed copy, and is as it was before: ${messageOf(cause)}. Check the disk, its quota and the folder's permissions`,
      { cause },
    );
  }
}

/** Dispose it to remove the local files. */
export class WorkingCopy implements Disposable {
  /** The store on the network file system. */
  readonly target: string;
  /** The local file, which does not exist as long as the target does not. */
  readonly path: string;
  readonly #folder: string;
  /** Of the target as it was when this equalled it; undefined once discarded. */
  #stamp: string | undefined;

  /** Copies the target if it exists. Throws `StoreError`. */
  constructor(target: string) {
    this.target = target;
    this.#folder = temporaryFolder();
    this.path = join(this.#folder, "features.sqlite");
    try {
      this.#stamp = copyWhole(target, this.#folder);
    } catch (error) {
      removeQuietly(this.#folder);
      throw error;
    }
  }

  /** Whether the target is still what this copies or published last. */
  get isCurrent(): boolean {
    return stampOf(this.target) === this.#stamp;
  }

  /** From now on this is not current: it has changes that are not to be published. */
  discard(): void {
    this.#stamp = undefined;
  }

  /** Runs `work` while no other process on any machine changes the target. Throws `StoreError` after ten seconds. */
  alone<T>(work: () => T): T {
    return withWriteLock(this.target, work);
  }

  /**
   * Replaces the target by the local file, which no transaction may be changing: copies it beside the target, flushes
   * it, renames it. Throws `StoreNotPublishedError`; the target is then as before.
   */
  publish(): void {
    const folder = dirname(this.target);
    // One name, so that the next writer overwrites what a crash left behind.
    const aside = join(folder, `.${basename(this.target)}.new`);
    try {
      mkdirSync(folder, { recursive: true });
      copyFileSync(this.path, aside);
      chmodSync(aside, (statSync(this.target, { throwIfNoEntry: false })?.mode ?? 0o666 & ~process.umask()) & 0o777);
      flush(aside, "r+");
      renameSync(aside, this.target);
    } catch (cause) {
      rmSync(aside, { force: true });
      throw new StoreNotPublishedError(this.target, cause);
    }
    this.#stamp = stampOf(this.target);
    // Of a store that an earlier version wrote in place; the copy has its rows.
    for (const suffix of ["-wal", "-shm"]) rmSync(this.target + suffix, { force: true });
    flushFolder(folder);
  }

  [Symbol.dispose](): void {
    removeQuietly(this.#folder);
  }
}

/** Tries again where another process replaces the store meanwhile. Returns the stamp of what was copied. */
function copyWhole(target: string, folder: string): string {
  for (let tries = 0; tries < 5; tries++) {
    const stamp = stampOf(target);
    if (stamp === "") return "";
    try {
      copyInto(folder, target, "it lies on a network file system");
      if (stampOf(target) === stamp) return stamp;
    } catch (error) {
      // What was replaced on another machine may be gone in the middle of reading.
      if (error instanceof StoreError || stampOf(target) === stamp) throw error;
    }
  }
  throw new StoreError(`${target} cannot be read: other processes keep replacing it. Try again`, { code: "resource" });
}

/**
 * Differs between any two stores that were published; empty if there is none. Opens the file, because NFS asks its
 * server about a file that is opened and answers other questions from a cache.
 */
function stampOf(path: string): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const { ino, size, mtimeNs } = fstatSync(file, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } finally {
    closeSync(file);
  }
}

function flush(path: string, flags: "r" | "r+"): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Some network file systems cannot flush folders; the new store is in place all the same. */
function flushFolder(folder: string): void {
  try {
    flush(folder, "r");
  } catch {
    // After a power cut the old store may be back, whole.
  }
}
