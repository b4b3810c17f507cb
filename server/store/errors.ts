import { type ErrorCode, LfpError } from "../common/errors.ts";
import { DatabaseError, sqliteCodeOf } from "../common/system-errors.ts";

/** A feature store cannot be opened; the message says what is wrong and what to do. */
export class StoreError extends LfpError {
  readonly code: ErrorCode;

  constructor(message: string, options: ErrorOptions & { readonly code?: ErrorCode } = {}) {
    super(message, options);
    this.code = options.code ?? "input";
  }
}

/** Rows of a store are not in the form that this program writes, and were skipped. */
export class DamagedRowsError extends LfpError {
  readonly code = "input";

  constructor(path: string, rows?: number) {
    super(
      `${path} is damaged: what ${rows === undefined ? "some" : rows} of its rows say is left out. Move it aside and run \`lfp run\` again to make them anew.`,
    );
  }
}

/** The store has no feature with the given id. */
export class NoFeatureError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, path: string) {
    super(`${path} has no feature ${id.slice(0, 60)}: \`lfp features RUN\` lists those there are`);
  }
}

/** A store is read-only, because its file or folder cannot be written. */
export class ReadOnlyStoreError extends LfpError {
  readonly code = "resource";

  constructor(path: string) {
    super(
      `${path} can only be read: its file or folder is read-only, so notes, labels and explanations cannot be kept there. Copy the run's folder ` +
        "to where you may write, and use the copy",
    );
  }
}

/** SQLite's result codes that are about the disk or other processes, not about the file's contents. */
const ofTheDisk = new Set([3, 5, 6, 7, 8, 10, 13, 14, 23]);
const READONLY = 8;

/** Converts an error of SQLite's from `action` on the file at `path` to one of ours; returns other errors unchanged. */
export function storeFailure(path: string, action: string, error: unknown): unknown {
  const code = sqliteCodeOf(error);
  if (code === READONLY) return new ReadOnlyStoreError(path);
  return code === undefined ? error : new DatabaseError(`${path} ${action}`, error);
}

/**
 * As `storeFailure`, but only for errors caused by the disk or another process: the caller's handlers explain the
 * others better.
 */
export function diskFailure(path: string, action: string, error: unknown): unknown {
  return ofTheDisk.has(sqliteCodeOf(error) ?? 0) ? storeFailure(path, action, error) : error;
}
