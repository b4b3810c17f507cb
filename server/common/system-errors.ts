/**
 * Converts errors of the operating system and of SQLite to ours: failures of a disk, a database or a user's path are
 * not bugs of the program.
 */

import { type ErrorCode, LfpError, messageOf } from "./errors.ts";

/** The `E...` code of an error that came from the operating system. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

/** What to do about the system's refusal of an operation on a file, by its `E...` code. */
export function storageAdvice(errno: string | undefined): string {
  if (errno === "ENOSPC" || errno === "EDQUOT") return "The disk or quota is full: free some space and run it again.";
  if (errno === "EACCES" || errno === "EPERM" || errno === "EROFS")
    return "The folder is read-only here: make it writable, or use another.";
  return "Check the path and the disk.";
}

/** The operating system rejected an operation on a file. */
export class StorageError extends LfpError {
  readonly code: ErrorCode;

  constructor(action: string, cause: unknown) {
    const errno = errnoOf(cause);
    super(`${action}: ${messageOf(cause)}. ${storageAdvice(errno)}`, { cause });
    this.code = errno === "ENOENT" ? "not-found" : "resource";
  }
}

/** SQLite rejected an operation: the file is damaged, the disk full, another process holds it. */
export class DatabaseError extends LfpError {
  readonly code: ErrorCode;

  constructor(action: string, cause: unknown) {
    const { code, advice } = kinds[sqliteCodeOf(cause) ?? 0] ?? damaged;
    super(`${action}: ${messageOf(cause)}. ${advice}`, { cause });
    this.code = code;
  }
}

/** SQLite's result code (https://sqlite.org/rescode.html) of an error that came from it. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_SQLITE_ERROR") return undefined;
  return "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : 0;
}

const damaged = {
  code: "input",
  advice:
    "The file is damaged. Move it aside and run `lfp run` again: what the run computed is made again at once; labels and notes are in the moved file.",
} as const;
const disk = { code: "resource", advice: "Check the disk and its permissions, and run it again." } as const;
const kinds: Readonly<Record<number, { readonly code: ErrorCode; readonly advice: string }>> = {
  /** PERM, READONLY, IOERR, CANTOPEN, AUTH */
  3: disk,
  8: disk,
  10: disk,
  14: disk,
  23: disk,
  /** BUSY, LOCKED */
  5: { code: "locked", advice: "Another process writes to it: wait for it and run it again." },
  6: { code: "locked", advice: "Another process writes to it: wait for it and run it again." },
  /** NOMEM */
  7: { code: "resource", advice: "Close other programs and run it again." },
  /** FULL */
  13: { code: "resource", advice: "The disk or quota is full: free some space and run it again." },
};

/** The error as one of ours if it is ours, the system's or SQLite's; undefined for a bug. `action` says what failed. */
export function knownError(error: unknown, action = "something could not be read or written"): LfpError | undefined {
  if (error instanceof LfpError) return error;
  if (errnoOf(error) !== undefined) return new StorageError(action, error);
  return sqliteCodeOf(error) === undefined ? undefined : new DatabaseError(action, error);
}
