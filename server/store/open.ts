import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { diskFailure, StoreError, storeFailure } from "./errors.ts";
import { applicationId, migrate, migrations, storeVersion } from "./schema.ts";

export interface OpenOptions {
  /** Whether SQLite can write beside the file; found out unless given. */
  readonly writable?: boolean;
  /** Makes the file if there is none. */
  readonly create?: boolean;
  /**
   * `wal`: read while written, for a run's living store. `single`: one file and nothing beside it, for a stage's output. `readOnly`: a finished
   * output, of which no byte may change. Where nothing can be written all are read only.
   */
  readonly journal: "wal" | "single" | "readOnly";
}

/**
 * Opens the database of a feature store and brings it to this program's version. Throws `StoreError` and `DatabaseError` for a file that is none, that a newer
 * program wrote, or that is damaged.
 */
export function openDatabase(path: string, { create = false, journal, writable }: OpenOptions): DatabaseSync {
  const there = isThere(path);
  if (!there && !create)
    throw new StoreError(`${path} does not exist: the run has no features yet; \`lfp run\` makes them`, {
      code: "not-found",
    });
  if (!there) mkdirSync(dirname(path), { recursive: true });
  if (there && journal !== "single" && !(writable ?? isWritable(path))) return openUnwritable(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: busyMs, readOnly: journal === "readOnly" });
    bound(db);
    checkOurs(db, path, there && (!create || journal === "readOnly"));
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
    throw notOpened(path, error);
  }
}

/** Whether SQLite could write here: it makes files of its own beside the database's. */
function isWritable(path: string): boolean {
  try {
    for (const place of [path, dirname(path)]) accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A store where nothing can be written, to read only. As it stands, or, where its newest rows are still in SQLite's log or an earlier version of the
 * program wrote it, from a copy in the folder for temporary files.
 */
function openUnwritable(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    const url = pathToFileURL(path);
    url.search = "?immutable=1";
    db = new DatabaseSync(url, { readOnly: true });
    bound(db);
    checkOurs(db, path, true);
    const hasLog = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
    if (!hasLog && versionOf(db) === storeVersion) return db;
    db.close();
    db = openCopy(path);
    return db;
  } catch (error) {
    if (db?.isOpen === true) db.close();
    throw notOpened(path, error);
  }
}

function openCopy(path: string): DatabaseSync {
  checkRoomForCopy(path);
  const folder = mkdtempSync(join(tmpdir(), "lfp-store-"));
  try {
    const copy = join(folder, "features.sqlite");
    for (const suffix of ["", "-wal"])
      if (suffix === "" || existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    // As readable as the original, and so perhaps not to be written.
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o600);
    const db = openDatabase(copy, { journal: "wal" });
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA query_only = ON");
    originals.set(db, path);
    return db;
  } finally {
    removeQuietly(folder);
  }
}

/** The open database keeps what is unlinked. Windows does not unlink what is open; its own clean-up takes that. */
function removeQuietly(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 0 });
  } catch {
    // Nothing depends on it.
  }
}

/** Larger than any run's store by far. */
const MOST_COPY_BYTES = 2 ** 31;

/** Throws `StoreError` where a copy would be larger than stores are, or than what is free. */
function checkRoomForCopy(path: string): void {
  const bytes = [path, `${path}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  const { bavail, bsize } = statfsSync(tmpdir());
  const most = Math.min(MOST_COPY_BYTES, bavail * bsize);
  if (bytes > most)
    throw new StoreError(
      `${path} cannot be read where it is, because nothing can be written there, and its copy in ${tmpdir()} would have ${bytes} bytes; ` +
        `${bytes > MOST_COPY_BYTES ? `at most ${MOST_COPY_BYTES} are copied` : `${most} are free`}. Copy the run's folder to where you may write, and use the copy`,
      { code: "resource" },
    );
}

/** Of databases that are copies. */
const originals = new WeakMap<DatabaseSync, string>();

/** The file that a person knows the database by. */
export function pathOf(db: DatabaseSync): string {
  return originals.get(db) ?? db.location() ?? "the feature store";
}

function notOpened(path: string, error: unknown): unknown {
  if (error instanceof StoreError) return error;
  return storeFailure(path, "cannot be opened as a feature store", error);
}

/** Whether there is a file. Throws `StoreError` where something else is: SQLite would wait for who writes into a pipe. */
function isThere(path: string): boolean {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) return found !== undefined;
  } catch (cause) {
    throw new StoreError(`${path} cannot be opened as a feature store: ${messageOf(cause)}. Check the path`, { cause });
  }
  throw new StoreError(`${path} is no feature store: expected a regular file`);
}

/** Versions of Node that have no limits read a blob of a gigabyte. */
function bound(db: DatabaseSync): void {
  if (db.limits !== undefined) db.limits.length = MOST_VALUE_BYTES;
}

/** Of a text or blob; the largest that are written have some hundred kilobytes. */
const MOST_VALUE_BYTES = 2 ** 26;

/** How long to wait for another process that writes. */
const busyMs = 10_000;

function checkOurs(db: DatabaseSync, path: string, isNeeded: boolean): void {
  const id = pragma(db, "application_id");
  const version = versionOf(db);
  if (version > storeVersion)
    throw new StoreError(
      `${path} was written by a newer version of lfp (format ${version}; this one reads up to ${storeVersion}): update lfp`,
    );
  const found = schemaOf(db);
  if (id === 0 && version === 0 && found.size === 0) {
    if (isNeeded) throw new StoreError(`${path} holds no features: \`lfp run\` makes them`);
    return;
  }
  if (id !== applicationId) throw new StoreError(`${path} is a database of another program, not a feature store`);
  const expected = expectedSchema(version);
  const strange = [...new Set([...expected.keys(), ...found.keys()])].find(
    (name) => expected.get(name) !== found.get(name),
  );
  if (strange !== undefined)
    throw new StoreError(
      `${path} is damaged: ${found.has(strange) ? "it holds" : "it lacks"} ${visibleLine(JSON.stringify(strange), 100)}${found.has(strange) ? ", which this program does not make so" : ""}. ` +
        "Move it aside and run `lfp run` again: what the run computed is made again at once; labels and notes are in the moved file.",
    );
}

const schemaRow = z.object({ type: z.string(), name: z.string(), sql: z.string().nullable() });

/** Tables, views, indices and triggers by name, as they were made. Parts of the search index differ between versions of SQLite. */
function schemaOf(db: DatabaseSync): Map<string, string> {
  const rows = z.array(schemaRow).parse(db.prepare("SELECT type, name, sql FROM sqlite_schema LIMIT 1000").all());
  const plain = (sql: string | null): string =>
    (sql ?? "").replace(/\s*([(),;])\s*|\s+/g, (_, mark?: string) => mark ?? " ");
  return new Map(
    rows.map(({ type, name, sql }) => [name, name.startsWith("search_") ? type : `${type} ${plain(sql)}`]),
  );
}

const schemas = new Map<number, ReadonlyMap<string, string>>();

/** What a store of a version holds: views that never end, and triggers, are no part of it. */
function expectedSchema(version: number): ReadonlyMap<string, string> {
  const known = schemas.get(version);
  if (known !== undefined) return known;
  const db = new DatabaseSync(":memory:");
  try {
    for (const script of migrations.slice(0, version)) db.exec(script);
    const made = schemaOf(db);
    schemas.set(version, made);
    return made;
  } finally {
    db.close();
  }
}

/** The version of the format that a store has. */
export function versionOf(db: DatabaseSync): number {
  return pragma(db, "user_version");
}

function pragma(db: DatabaseSync, name: "application_id" | "user_version"): number {
  return z.object({ n: z.int() }).parse(db.prepare(`SELECT ${name} AS n FROM pragma_${name}`).get()).n;
}

/** Runs some writes whole or not at all. What SQLite throws of the disk becomes a `DatabaseError`, or a `ReadOnlyStoreError`. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  try {
    db.exec("BEGIN IMMEDIATE");
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite has rolled back by itself where the disk is full.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw diskFailure(pathOf(db), "could not be written", error);
  }
}
