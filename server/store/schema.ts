/**
 * The tables of `features.sqlite`, version by version: scripts migrate a store from its version to this program's, so a
 * published script never changes. The pipeline's rows can be recomputed at any time; labels, notes, pins, endpoints'
 * answers and what commands added belong to users and are kept.
 */
import type { DatabaseSync } from "node:sqlite";

/** Marks our files ("LFPF"), so that another program's database is not mistaken for a store. */
export const applicationId = 0x4c465046;

/**
 * Script i migrates a store from version i to i + 1. `features.id` is `numberOfFeature`'s; `space` is 0 tuned small, 1
 * tuned big, 2 base small, 3 base big.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE dictionaries (
    model TEXT NOT NULL, size TEXT NOT NULL, layer INTEGER NOT NULL, features INTEGER NOT NULL, tokens INTEGER NOT NULL,
    PRIMARY KEY (model, size, layer)
  ) WITHOUT ROWID;
  CREATE TABLE features (
    id INTEGER PRIMARY KEY, space INTEGER NOT NULL, layer INTEGER NOT NULL, feature INTEGER NOT NULL, density REAL NOT NULL,
    max_activation REAL NOT NULL, probe_weight REAL, contribution REAL, twin INTEGER, twin_cosine REAL, base_twin INTEGER, base_cosine REAL,
    score REAL, relevant INTEGER, ablation REAL, pinned INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE details (
    feature INTEGER PRIMARY KEY, active_tokens INTEGER NOT NULL, histogram BLOB NOT NULL, promotes TEXT NOT NULL, suppresses TEXT NOT NULL
  );
  CREATE TABLE windows (id INTEGER PRIMARY KEY, source TEXT NOT NULL, text TEXT NOT NULL, ends BLOB NOT NULL);
  CREATE TABLE examples (
    feature INTEGER NOT NULL, split TEXT NOT NULL, kind TEXT NOT NULL, rank INTEGER NOT NULL, window INTEGER NOT NULL, peak INTEGER NOT NULL,
    activations BLOB NOT NULL, PRIMARY KEY (feature, split, kind, rank)
  ) WITHOUT ROWID;
  CREATE TABLE explanations (
    id INTEGER PRIMARY KEY, feature INTEGER NOT NULL, explainer TEXT NOT NULL, text TEXT NOT NULL, detail TEXT NOT NULL,
    by_run INTEGER NOT NULL, digest TEXT NOT NULL, created TEXT NOT NULL, UNIQUE (feature, explainer)
  );
  CREATE TABLE ablations (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, result TEXT NOT NULL, by_run INTEGER NOT NULL, digest TEXT NOT NULL, created TEXT NOT NULL
  );
  CREATE TABLE effects (
    ablation INTEGER NOT NULL, feature INTEGER NOT NULL, what TEXT NOT NULL, factor REAL NOT NULL, prompts INTEGER NOT NULL,
    change REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, PRIMARY KEY (feature, ablation, what)
  ) WITHOUT ROWID;
  CREATE TABLE labels (feature INTEGER NOT NULL, label TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (feature, label)) WITHOUT ROWID;
  CREATE TABLE notes (feature INTEGER PRIMARY KEY, note TEXT NOT NULL, digest TEXT NOT NULL, updated TEXT NOT NULL);
  CREATE TABLE pins (feature INTEGER PRIMARY KEY, digest TEXT NOT NULL);
  CREATE INDEX features_by_contribution ON features (space, abs(contribution));
  CREATE INDEX features_by_density ON features (space, density);
  CREATE VIRTUAL TABLE search USING fts5 (
    explanation, labels, note, examples, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
  );`,
  `CREATE TABLE answers (
    key TEXT PRIMARY KEY, answer TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, created TEXT NOT NULL
  ) WITHOUT ROWID;`,
  "ALTER TABLE features ADD COLUMN attribution REAL;",
];

/** The earliest version of a stage's file from which this program refills a store. */
export const oldestSource = 2;

/** The first version with attributions. */
export const versionWithAttribution = 3;

/** The version that this program writes. */
export const storeVersion = migrations.length;

/** Migrates a store, or an empty database, to this program's version in one transaction. */
export function migrate(db: DatabaseSync, from: number): void {
  if (from === storeVersion) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const script of migrations.slice(from)) db.exec(script);
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${storeVersion}; COMMIT`);
  } catch (error) {
    // SQLite rolls back by itself when the disk is full.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
