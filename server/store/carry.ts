/**
 * Carries over what people wrote, paid for or measured in another store, such as that of an earlier version of the run.
 * A row carries the digest of its feature's dictionary, and is carried over only if this store has that very
 * dictionary. The other store is only read.
 */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { inTransaction, openDatabase } from "./open.ts";
import { reindex } from "./refill.ts";
import { allRows, firstRow, Statements } from "./rows.ts";

export const carriedKinds = ["notes", "labels", "pins", "explanations", "ablations"] as const;
type CarriedKind = (typeof carriedKinds)[number];
export type CarriedCounts = { readonly [K in CarriedKind]: number };

export interface Carried {
  /** Counts of rows that could not be carried over and remain only in the other store. */
  readonly left: CarriedCounts;
  /** Keys of the rows examined, which the next call skips. */
  readonly seen: readonly string[];
  /** Number of rows that this program did not write in this form; they remain only in the other store. */
  readonly damaged: number;
}

/**
 * Carries over the rows that are not in `seen` and whose feature this store has; keeps existing rows. Throws
 * `StoreError` if the other store cannot be read.
 */
export function carryOver(
  db: DatabaseSync,
  statements: Statements,
  { path, seen }: { readonly path: string; readonly seen: ReadonlySet<string> },
  summarise: (features: readonly number[]) => void,
): Carried {
  const other = openDatabase(path, { journal: "readOnly" });
  const there = new Statements(other, path);
  const left = { notes: 0, labels: 0, pins: 0, explanations: 0, ablations: 0 };
  const looked: string[] = [];
  const touched = new Set<number>();
  /** Records a row as examined; true if it is new. */
  const isNew = (key: string): boolean => {
    looked.push(key);
    return !seen.has(key);
  };
  const take = (kind: CarriedKind, features: readonly number[], taken: boolean): void => {
    if (taken) for (const feature of features) touched.add(feature);
    else left[kind] += 1;
  };
  try {
    const reader: Reader = { there, here: statements, isNew, take };
    inTransaction(db, () => {
      carryAnnotations(reader);
      carryExplanations(reader);
      carryAblations(reader);
      carryAnswers(reader);
      summarise([...touched]);
      reindex(statements, [...touched]);
    });
  } finally {
    other.close();
  }
  return { left, seen: looked, damaged: there.damagedRows };
}

interface Reader {
  /** The other store. */
  readonly there: Statements;
  readonly here: Statements;
  readonly isNew: (key: string) => boolean;
  readonly take: (kind: CarriedKind, features: readonly number[], taken: boolean) => void;
}

const digestSql = "SELECT value FROM meta WHERE key = 'digest:' || (? >> 20)";

/** Whether this store has a row's dictionary and feature. */
function isHere(here: Statements, feature: number, digest: string): boolean {
  const own = firstRow(here.get(digestSql), z.object({ value: z.string() }), feature);
  const there = here.get("SELECT 1 AS n FROM features WHERE id = ?").get(feature);
  return own?.value === digest && there !== undefined;
}

const annotation = z.object({ feature: z.int(), digest: z.string() });

function carryAnnotations({ there, here, isNew, take }: Reader): void {
  const notes = annotation.extend({ note: z.string(), updated: z.string() });
  for (const { feature, note, digest, updated } of allRows(there.get("SELECT * FROM notes"), notes)) {
    if (!isNew(`note ${feature} ${updated}`)) continue;
    const fits =
      isHere(here, feature, digest) &&
      here.get("SELECT 1 AS n FROM notes WHERE feature = ? AND note <> ?").get(feature, note) === undefined;
    if (fits) here.get("INSERT OR IGNORE INTO notes VALUES (?, ?, ?, ?)").run(feature, note, digest, updated);
    take("notes", [feature], fits);
  }
  const labels = annotation.extend({ label: z.string() });
  for (const { feature, label, digest } of allRows(there.get("SELECT * FROM labels"), labels)) {
    if (!isNew(`label ${feature} ${label}`)) continue;
    const fits = isHere(here, feature, digest);
    if (fits) here.get("INSERT OR IGNORE INTO labels VALUES (?, ?, ?)").run(feature, label, digest);
    take("labels", [feature], fits);
  }
  for (const { feature, digest } of allRows(there.get("SELECT * FROM pins"), annotation)) {
    if (!isNew(`pin ${feature}`)) continue;
    const fits = isHere(here, feature, digest);
    if (fits) {
      here.get("INSERT OR IGNORE INTO pins VALUES (?, ?)").run(feature, digest);
      here.get("UPDATE features SET pinned = 1 WHERE id = ?").run(feature);
    }
    take("pins", [feature], fits);
  }
}

const explanation = annotation.extend({
  explainer: z.string(),
  text: z.string(),
  detail: z.string(),
  created: z.string(),
});

/** Carries over explanations that a user requested. An existing one by the same explainer is kept. */
function carryExplanations({ there, here, isNew, take }: Reader): void {
  const rows = allRows(there.get("SELECT * FROM explanations WHERE by_run = 0 ORDER BY id"), explanation);
  for (const { feature, explainer, text, detail, digest, created } of rows) {
    if (!isNew(`explanation ${feature} ${explainer} ${created}`)) continue;
    const fits = isHere(here, feature, digest);
    if (fits)
      here
        .get(
          "INSERT OR IGNORE INTO explanations (feature, explainer, text, detail, by_run, digest, created) VALUES (?, ?, ?, ?, 0, ?, ?)",
        )
        .run(feature, explainer, text, detail, digest, created);
    take("explanations", [feature], fits);
  }
}

const ablation = z.object({
  id: z.int(),
  key: z.string(),
  result: z.string(),
  digest: z.string(),
  created: z.string(),
});
const effect = z.object({
  feature: z.int(),
  what: z.string(),
  factor: z.number(),
  prompts: z.int(),
  change: z.number(),
  low: z.number(),
  high: z.number(),
});

/** Carries over ablations that a user measured. A set's digest joins those of its dictionaries. */
function carryAblations({ there, here, isNew, take }: Reader): void {
  const own = new Set(
    allRows(here.get("SELECT value FROM meta WHERE key LIKE 'digest:%'"), z.object({ value: z.string() })).map(
      ({ value }) => value,
    ),
  );
  const rows = allRows(there.get("SELECT * FROM ablations WHERE by_run = 0 ORDER BY id"), ablation);
  for (const { id, key, result, digest, created } of rows) {
    if (!isNew(`ablation ${key} ${created}`)) continue;
    const fits = digest !== "" && digest.split(" ").every((one) => own.has(one));
    const effects = allRows(there.get("SELECT * FROM effects WHERE ablation = ?"), effect, id);
    if (fits) {
      const { changes, lastInsertRowid } = here
        .get("INSERT OR IGNORE INTO ablations (key, result, by_run, digest, created) VALUES (?, ?, 0, ?, ?)")
        .run(key, result, digest, created);
      for (const { feature, what, factor, prompts, change, low, high } of changes === 0 ? [] : effects)
        here
          .get("INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
          .run(lastInsertRowid, feature, what, factor, prompts, change, low, high);
    }
    take(
      "ablations",
      effects.map(({ feature }) => feature),
      fits,
    );
  }
}

/** Carries over paid answers, which any equal request can reuse; stores of the first version have none. */
function carryAnswers({ there, here }: Reader): void {
  if (there.get("SELECT 1 FROM sqlite_schema WHERE name = 'answers'").get() === undefined) return;
  const answer = z.object({
    key: z.string(),
    answer: z.string(),
    input_tokens: z.int(),
    output_tokens: z.int(),
    created: z.string(),
  });
  const insert = here.get("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)");
  for (const row of allRows(there.get("SELECT * FROM answers"), answer))
    insert.run(row.key, row.answer, row.input_tokens, row.output_tokens, row.created);
}
