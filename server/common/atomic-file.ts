import * as nodeFiles from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, LfpError, messageOf } from "./errors.ts";
import { storageAdvice } from "./system-errors.ts";

/**
 * Contents of a file. Chunks are pulled one at a time, each only after the one before has been passed to the system.
 */
export type FileContents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** The calls that this module makes, so that a test can fail any one of them. */
export type AtomicFileSystem = Pick<typeof nodeFiles, "open" | "rename" | "stat" | "unlink">;

/** The new contents are not in place; what was at the path before is untouched, and no temporary file is left. */
export class FileNotCommittedError extends LfpError {
  readonly code: ErrorCode;
  readonly path: string;

  constructor(path: string, cause: unknown) {
    const missing = errnoOf(cause) === "ENOENT";
    const advice = missing ? "Create the folder first." : storageAdvice(errnoOf(cause));
    super(`${path} could not be written, and what was there before is unchanged: ${messageOf(cause)}. ${advice}`, {
      cause,
    });
    this.code = missing ? "not-found" : "resource";
    this.path = path;
  }
}

/**
 * The new contents are in place, but the file system did not confirm it: a power cut now could bring the old ones back.
 */
export class FileDurabilityError extends LfpError {
  readonly code = "resource";
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(
      `${path} was replaced, but its folder could not be flushed to disk (${messageOf(cause)}): ` +
        "the new file may be lost if the machine loses power. Check the disk and write it again.",
      { cause },
    );
    this.path = path;
  }
}

/**
 * Replaces the file at `path` whole or not at all: writes a uniquely named sibling, flushes it, renames it over `path`
 * and flushes the folder. Readers that hold the old file open go on reading the old contents. An existing file's
 * permissions are kept; a symbolic link is replaced, not followed. An iterable may reuse one buffer for all its chunks.
 *
 * Throws `FileNotCommittedError` (old file kept) or `FileDurabilityError` (new file in place, flush unconfirmed). What
 * an iterable throws passes through unchanged, with the old file kept.
 */
export async function writeFileAtomically(
  path: string,
  contents: FileContents,
  files: AtomicFileSystem = nodeFiles,
): Promise<void> {
  const commit = <T>(step: Promise<T>) => step.catch((cause) => Promise.reject(new FileNotCommittedError(path, cause)));

  const { handle, temporary } = await commit(openTemporarySibling(path, files));
  try {
    try {
      for await (const chunk of chunksOf(contents)) await commit(writeAll(handle, chunk));
      await commit(handle.sync());
    } finally {
      await commit(handle.close());
    }
    await commit(renameWithRetry(temporary, path, files));
  } catch (error) {
    // The first failure is the one to report; a second one here would only hide it.
    await files.unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path), files).catch((cause) => Promise.reject(new FileDurabilityError(path, cause)));
}

let temporaryCount = 0;

async function openTemporarySibling(path: string, files: AtomicFileSystem) {
  const existing = await files
    .stat(path)
    .catch((error) => (errnoOf(error) === "ENOENT" ? undefined : Promise.reject(error)));
  const mode = existing === undefined ? 0o666 : existing.mode & 0o777;
  // Truncated, because the longest legal name has no room for a suffix.
  const stem = basename(path).slice(0, 48);
  for (;;) {
    const temporary = join(dirname(path), `.${stem}.${process.pid}-${temporaryCount++}.tmp`);
    try {
      return { handle: await files.open(temporary, "wx", mode), temporary };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }
}

function chunksOf(contents: FileContents): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof contents === "string") return [Buffer.from(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
}

/** Maximum bytes of one write call, below the systems' limit of 2 GiB. */
const WRITE_BYTES = 1 << 28;

async function writeAll(handle: nodeFiles.FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength; ) {
    const length = Math.min(WRITE_BYTES, chunk.byteLength - written);
    written += (await handle.write(chunk, written, length)).bytesWritten;
  }
}

/**
 * Renames, with retries on Windows, which rejects a rename while a virus scanner or an indexer has either file open.
 */
async function renameWithRetry(from: string, to: string, files: AtomicFileSystem): Promise<void> {
  const waitsMs = process.platform === "win32" ? [10, 30, 100, 300, 1000] : [];
  for (const waitMs of waitsMs) {
    try {
      await files.rename(from, to);
      return;
    } catch (error) {
      if (!["EPERM", "EBUSY", "EACCES"].includes(errnoOf(error) ?? "")) throw error;
      await delay(waitMs);
    }
  }
  await files.rename(from, to);
}

/** Flushes a folder. Some network and user-space file systems do not support it; Windows does not at all. */
async function syncFolder(folder: string, files: AtomicFileSystem): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await files.open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
