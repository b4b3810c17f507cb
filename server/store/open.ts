import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { messageOf } from "../common/errors.ts";
import { networkFileSystemOf } from "../common/network-file-system.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { diskFailure, StoreError, storeFailure } from "./errors.ts";
import { copyInto, logBytes, removeQuietly, temporaryFolder } from "./local-copy.ts";
import { applicationId, migrate, migrations, storeVersion } from "./schema.ts";

export interface OpenOptions {
  /** Whether SQLite can write beside the file; by default this is detected. */
  readonly writable?: boolean;
  /** Creates the file if it is missing. */
  readonly create?: boolean;
  /**
   * `wal`: readable while written, for a run's writable store. `single`: one file and nothing beside it, for a stage's
   * output. `readOnly`: a finished output, of which no byte may change. Without write access every mode is read-only.
   * On a network file system `wal` is as `single`, and `readOnly` takes no locks.
   */
  readonly journal: "wal" | "single" | "readOnly";
  /** Whether the file is on a network file system; by default this is detected. */
  readonly onNetwork?: boolean;
  /** For a copy: the path of what it copies, which messages then name. */
  readonly original?: string;
}

/**
 * Opens the database of a feature store and migrates it to this program's version. Throws `StoreError` and
 * `DatabaseError` for a file that is not a store, is newer than this program, or is damaged.
 */
export function openDatabase(path: string, options: OpenOptions): DatabaseSync {
  const { create = false, journal, writable, original = path } = options;
  const there = isThere(path);
  if (!there && !create)
    throw new StoreError(`${original} does not exist: the run has no features yet; \`lfp run\` makes them`, {
      code: "not-found",
    });
  if (!there) mkdirSync(dirname(path), { recursive: true });
  const onNetwork = options.onNetwork ?? isOnNetwork(path);
  const isFixed = (onNetwork && journal === "readOnly") || !(writable ?? isWritable(path));
  if (there && journal !== "single" && isFixed) return openUnwritable(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: busyMs, readOnly: journal === "readOnly" });
    if (original !== path) originals.set(db, original);
    bound(db);
    checkOurs(db, original, there && (!create || journal === "readOnly"));
    if (journal === "readOnly") return db;
    db.exec(
      journal === "wal" && !onNetwork
        ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"
        : "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL",
    );
    migrate(db, versionOf(db));
    return db;
  } catch (error) {
    db?.close();
    throw notOpened(original, error);
  }
}

/** Whether SQLite's log and locks cannot be relied on at a path, which need not exist. */
export function isOnNetwork(path: string): boolean {
  return networkFileSystemOf(path) !== undefined;
}

/** Throws a `DatabaseError` or `StoreError` if SQLite finds the database damaged. */
export function checkWhole(db: DatabaseSync): void {
  const found = z.object({ quick_check: z.string() }).parse(db.prepare("PRAGMA quick_check(1)").get()).quick_check;
  if (found !== "ok")
    throw new StoreError(
      `${pathOf(db)} was not written: its new contents are damaged (${visibleLine(found, 200)}). Try again`,
      {
        code: "resource",
      },
    );
}

/** Whether SQLite could write here: it creates its own files beside the database. */
export function isWritable(path: string): boolean {
  try {
    for (const place of [path, dirname(path)]) accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Opens a store without write access, read-only: in place, or from a copy in the folder for temporary files if its
 * newest rows are still in SQLite's log or an earlier version of the program wrote it.
 */
function openUnwritable(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    const url = pathToFileURL(path);
    url.search = "?immutable=1";
    db = new DatabaseSync(url, { readOnly: true });
    bound(db);
    checkOurs(db, path, true);
    if (logBytes(path) === 0 && versionOf(db) === storeVersion) return db;
    db.close();
    db = openCopy(path);
    return db;
  } catch (error) {
    if (db?.isOpen === true) db.close();
    throw notOpened(path, error);
  }
}

function openCopy(path: string): DatabaseSync {
  const folder = temporaryFolder();
  try {
    const copy = copyInto(folder, path, "nothing can be written there");
    const db = openDatabase(copy, { journal: "wal", original: path });
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA query_only = ON");
    return db;
  } finally {
    removeQuietly(folder);
  }
}

/** The original paths of databases that are copies. */
const originals = new WeakMap<DatabaseSync, string>();

/** The path of a database for people: of the original if it is a copy. */
export function pathOf(db: DatabaseSync): string {
  return originals.get(db) ?? db.location() ?? "the feature store";
}

function notOpened(path: string, error: unknown): unknown {
  if (error instanceof StoreError) return error;
  return storeFailure(path, "cannot be opened as a feature store", error);
}

/**
 * Whether the file exists. Throws `StoreError` if the path is something else: opening a pipe, SQLite would wait for a
 * writer.
 */
function isThere(path: string): boolean {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) return found !== undefined;
  } catch (cause) {
    throw new StoreError(`${path} cannot be opened as a feature store: ${messageOf(cause)}. Check the path`, { cause });
  }
  throw new StoreError(`${path} is no feature store: expected a regular file`);
}

/** Limits the length of values; versions of Node without limits read blobs of a gigabyte. */
function bound(db: DatabaseSync): void {
  if (db.limits !== undefined) db.limits.length = MOST_VALUE_BYTES;
}

/** Maximum size of a text or blob; the largest written ones have some hundred kilobytes. */
const MOST_VALUE_BYTES = 2 ** 26;

/** How long to wait for another process's write lock. */
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

/**
 * Tables, views, indices and triggers by name, with their SQL. Parts of the search index differ between versions of
 * SQLite.
 */
function schemaOf(db: DatabaseSync): Map<string, string> {
  const rows = z.array(schemaRow).parse(db.prepare("SELECT type, name, sql FROM sqlite_schema LIMIT 1000").all());
  const plain = (sql: string | null): string =>
    (sql ?? "").replace(/\s*([(),;])\s*|\s+/g, (_, mark?: string) => mark ?? " ");
  return new Map(
    rows.map(({ type, name, sql }) => [name, name.startsWith("search_") ? type : `${type} ${plain(sql)}`]),
  );
}

const schemas = new Map<number, ReadonlyMap<string, string>>();

/**
 * The schema of a store of a version, against which a file is checked: a foreign view could run for ever, and a trigger
 * act.
 */
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

/** The version of a store's format. */
export function versionOf(db: DatabaseSync): number {
  return pragma(db, "user_version");
}

function pragma(db: DatabaseSync, name: "application_id" | "user_version"): number {
  return z.object({ n: z.int() }).parse(db.prepare(`SELECT ${name} AS n FROM pragma_${name}`).get()).n;
}

/**
 * Runs writes in one transaction. Converts SQLite's errors about the disk to a `DatabaseError` or a
 * `ReadOnlyStoreError`.
 */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  try {
    db.exec("BEGIN IMMEDIATE");
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite rolls back by itself when the disk is full.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw diskFailure(pathOf(db), "could not be written", error);
  }
}
