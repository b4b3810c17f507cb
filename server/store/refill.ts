/** Refills a run's writable store from the file that a stage wrote, and maintains its search index. */

import type { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { StoreError, storeFailure } from "./errors.ts";
import { inTransaction, pathOf } from "./open.ts";
import { firstRow, type Statements } from "./rows.ts";
import { oldestSource, storeVersion } from "./schema.ts";

export interface Refill {
  /** A file of `StoreWriter`. */
  readonly path: string;
  /** The stage's key: a store with this key is not refilled. */
  readonly key: string;
}

const keyOf = "SELECT value FROM meta WHERE key = 'source'";

/**
 * Refills the store in one transaction: a reader sees the old rows or the new ones. Calls `finish` at its end. Returns
 * false without changes if the store has this source already. Throws `StoreError`.
 */
export function refill(db: DatabaseSync, statements: Statements, { path, key }: Refill, finish: () => void): boolean {
  const found = firstRow(statements.get(keyOf), z.object({ value: z.string() }));
  if (found?.value === key) return false;
  // Finished and never changed, so that it needs no locks, which some network file systems lack.
  db.prepare("ATTACH DATABASE ? AS made").run(`${pathToFileURL(path).href}?immutable=1`);
  try {
    const { user_version: version } = versionSchema.parse(db.prepare("PRAGMA made.user_version").get());
    if (version < oldestSource || version > storeVersion)
      throw new StoreError(
        `${path} has format ${version}, and this version of lfp reads ${oldestSource} to ${storeVersion}: run \`lfp run\` again`,
      );
    inTransaction(db, () => {
      db.exec(copying);
      statements.get("INSERT INTO meta VALUES ('source', ?)").run(key);
      db.exec("INSERT INTO search (search) VALUES ('delete-all')");
      db.exec(`${indexing} WHERE density > 0 OR id IN (${annotated})`);
      finish();
    });
  } catch (cause) {
    if (cause instanceof LfpError) throw cause;
    throw storeFailure(pathOf(db), `could not be filled from ${path}`, cause);
  } finally {
    detach(db);
  }
  return true;
}

/** Detaches the database, ignoring errors, which would hide an earlier one. */
function detach(db: DatabaseSync): void {
  try {
    db.exec("DETACH DATABASE made");
  } catch {
    // Closing the store detaches it.
  }
}

/** Updates the search index for some features. */
export function reindex(statements: Statements, features: readonly number[]): void {
  const remove = statements.get("DELETE FROM search WHERE rowid = ?");
  const add = statements.get(`${indexing} WHERE id = ?`);
  for (const feature of features) {
    remove.run(feature);
    add.run(feature);
  }
}

const versionSchema = z.object({ user_version: z.int() });

/** Tables with the same columns in every supported version, and the columns of `features` that every version has. */
const machineTables = ["dictionaries", "details", "windows", "examples"] as const;
const featureColumns = `id, space, layer, feature, density, max_activation, probe_weight, contribution, twin, twin_cosine, base_twin, base_cosine, score,
  relevant, ablation, pinned`;

const copying = `${machineTables.map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM made.${table};`).join("\n")}
  DELETE FROM features; INSERT INTO features (${featureColumns}) SELECT ${featureColumns} FROM made.features;
  DELETE FROM meta; INSERT INTO meta SELECT * FROM made.meta;
  DELETE FROM effects WHERE ablation IN (SELECT id FROM ablations WHERE by_run = 1);
  DELETE FROM ablations WHERE by_run = 1;
  DELETE FROM explanations WHERE by_run = 1;
  UPDATE features SET pinned = 1 WHERE id IN (SELECT feature FROM pins);`;

const annotated = "SELECT feature FROM labels UNION SELECT feature FROM notes UNION SELECT feature FROM explanations";

/** The searchable text: all explanations, labels, the note, and the strongest windows. */
const indexing = `INSERT INTO search (rowid, explanation, labels, note, examples) SELECT id,
  (SELECT group_concat(text, ' ') FROM explanations WHERE feature = features.id),
  (SELECT group_concat(label, ' ') FROM labels WHERE feature = features.id),
  (SELECT note FROM notes WHERE feature = features.id),
  (SELECT group_concat(w.text, ' ') FROM examples AS e JOIN windows AS w ON w.id = e.window
    WHERE e.feature = features.id AND e.kind = 'top') FROM features`;
