/** Copies of a store in the folder for temporary files, on a local disk. */

import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoreError } from "./errors.ts";

/** Those of this process that are not removed yet. */
const folders = new Set<string>();

function removeAll(): void {
  for (const folder of folders) removeQuietly(folder);
}

/** A folder of its own for one store; remove it with `removeQuietly`. The process's normal end removes it too. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lfp-store-"));
  if (folders.size === 0) process.once("exit", removeAll);
  folders.add(folder);
  return folder;
}

/**
 * Copies a store, and its log if it has one, into a folder; returns the copy's path. `why` says in the message of the
 * `StoreError` for a copy that is too large why there has to be one.
 */
export function copyInto(folder: string, path: string, why: string): string {
  checkRoom(path, why);
  const copy = join(folder, "features.sqlite");
  for (const suffix of logBytes(path) > 0 ? ["", "-wal"] : [""]) {
    copyFileSync(path + suffix, copy + suffix);
    // The copy has the original's permissions, perhaps read-only.
    chmodSync(copy + suffix, 0o600);
  }
  return copy;
}

/**
 * Size of a store's write-ahead log. 0 if its header says that it has none: a file of this name beside such a store is
 * of an earlier store in its place.
 */
export function logBytes(path: string): number {
  const bytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return bytes > 0 && readVersionOf(path) === WAL ? bytes : 0;
}

/** Value of the header's bytes 18 and 19 in WAL mode (https://sqlite.org/fileformat.html). */
const WAL = 2;
const READ_VERSION_AT = 19;

function readVersionOf(path: string): number {
  const file = openSync(path, "r");
  try {
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, READ_VERSION_AT);
    return byte[0] ?? 0;
  } finally {
    closeSync(file);
  }
}

/**
 * Removes a copy's folder; an open database keeps the unlinked files. Where open files cannot be unlinked (Windows), the
 * end of the process tries again.
 */
export function removeQuietly(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 0 });
    folders.delete(folder);
    if (folders.size === 0) process.off("exit", removeAll);
  } catch {
    // Best effort: nothing depends on it.
  }
}

/** Larger than any run's store by far. */
const MOST_COPY_BYTES = 2 ** 31;

/** Throws `StoreError` if a copy would exceed the size limit or the free space. */
function checkRoom(path: string, why: string): void {
  const bytes = statSync(path).size + logBytes(path);
  const { bavail, bsize } = statfsSync(tmpdir());
  const most = Math.min(MOST_COPY_BYTES, bavail * bsize);
  if (bytes > most)
    throw new StoreError(
      `${path} cannot be used where it is, because ${why}, and its copy in ${tmpdir()} would have ${bytes} bytes; ` +
        `${bytes > MOST_COPY_BYTES ? `at most ${MOST_COPY_BYTES} are copied` : `${most} are free`}. Copy the run's folder to a local disk where you may write, and use the copy`,
      { code: "resource" },
    );
}
