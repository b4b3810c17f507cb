import { type ErrorCode, LfpError, messageOf } from "../common/errors.ts";

/** A feature store cannot be opened, with what is wrong and what to do. */
export class StoreError extends LfpError {
  readonly code: ErrorCode;

  constructor(message: string, options: ErrorOptions & { readonly code?: ErrorCode } = {}) {
    super(message, options);
    this.code = options.code ?? "input";
  }
}

/** A feature was named that the store does not have. */
export class NoFeatureError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, path: string) {
    super(`${path} has no feature ${id.slice(0, 60)}: \`lfp features RUN\` lists those there are`);
  }
}

/** A store that can only be read, because its file or folder cannot be written. */
export class ReadOnlyStoreError extends LfpError {
  readonly code = "resource";

  constructor(path: string) {
    super(
      `${path} can only be read: its file or folder is read-only, so notes, labels and explanations cannot be kept there. Copy the run's folder ` +
        "to where you may write, and use the copy",
    );
  }
}

/** Result codes of SQLite that say something of the disk or of other processes, and nothing of the file. */
const advices: ReadonlyMap<number, readonly [code: ErrorCode, advice: string]> = new Map([
  [5, ["locked", "Another process writes to it: wait for it and run it again."]],
  [6, ["locked", "Another process writes to it: wait for it and run it again."]],
  [7, ["resource", "Memory does not suffice: close other programs and run it again."]],
  [10, ["resource", "The disk may be full or failing: free some space and run it again."]],
  [13, ["resource", "The disk or quota is full: free some space and run it again."]],
  [14, ["resource", "Check that the folder may be written to and that the disk has room."]],
]);

/** SQLite's result code of an error that came from it (https://sqlite.org/rescode.html). */
export function sqliteCodeOf(error: unknown): number | undefined {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** As `storeFailure`, only for what the disk or another process brought about: other errors say more where they are understood. */
export function diskFailure(path: string, action: string, error: unknown): unknown {
  const code = sqliteCodeOf(error);
  return code === 8 || (code !== undefined && advices.has(code)) ? storeFailure(path, action, error) : error;
}

/** What SQLite threw while `action` was done with the file at `path`, as an error of ours; anything else as it is. */
export function storeFailure(path: string, action: string, error: unknown): unknown {
  const code = sqliteCodeOf(error);
  if (code === undefined) return error;
  if (code === 8) return new ReadOnlyStoreError(path);
  const [kind, advice] = advices.get(code) ?? [
    "input" as const,
    "Move it aside and run `lfp run` again: what the run computed is made again at once; labels and notes are in the moved file.",
  ];
  return new StoreError(`${path} ${action} (${messageOf(error)}). ${advice}`, { cause: error, code: kind });
}
