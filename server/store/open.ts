import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { StoreError } from "./errors.ts";
import { applicationId, migrate, storeVersion } from "./schema.ts";

export interface OpenOptions {
  /** Makes the file if there is none. */
  readonly create?: boolean;
  /**
   * `wal`: read while written, for a run's living store. `single`: one file and nothing beside it, for a stage's output. `readOnly`: a finished
   * output, of which no byte may change.
   */
  readonly journal: "wal" | "single" | "readOnly";
}

/**
 * Opens the database of a feature store and brings it to this program's version. Throws `StoreError` for a file that is none, that a newer
 * program wrote, or that is damaged.
 */
export function openDatabase(path: string, { create = false, journal }: OpenOptions): DatabaseSync {
  const there = statSync(path, { throwIfNoEntry: false }) !== undefined;
  if (!there && !create)
    throw new StoreError(`${path} does not exist: the run has no features yet; \`lfp run\` makes them`, {
      code: "not-found",
    });
  if (!there) mkdirSync(dirname(path), { recursive: true });
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: busyMs, readOnly: journal === "readOnly" });
    checkOurs(db, path, there);
    if (journal === "readOnly") return db;
    db.exec(
      journal === "wal"
        ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"
        : "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL",
    );
    migrate(db, versionOf(db));
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof StoreError) throw error;
    throw new StoreError(
      `${path} cannot be opened as a feature store (${messageOf(error)}). Move it aside and run \`lfp run\` again: what the run computed is made ` +
        "again at once; labels and notes are in the moved file.",
      { cause: error },
    );
  }
}

/** How long to wait for another process that writes. */
const busyMs = 10_000;

function checkOurs(db: DatabaseSync, path: string, there: boolean): void {
  const id = pragma(db, "application_id");
  const version = versionOf(db);
  if (version > storeVersion)
    throw new StoreError(
      `${path} was written by a newer version of lfp (format ${version}; this one reads up to ${storeVersion}): update lfp`,
    );
  const empty = version === 0 && id === 0 && db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
  if (there && id !== applicationId && !empty)
    throw new StoreError(`${path} is a database of another program, not a feature store`);
}

function versionOf(db: DatabaseSync): number {
  return pragma(db, "user_version");
}

function pragma(db: DatabaseSync, name: "application_id" | "user_version"): number {
  return z.object({ n: z.int() }).parse(db.prepare(`SELECT ${name} AS n FROM pragma_${name}`).get()).n;
}

/** Runs some writes whole or not at all. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
