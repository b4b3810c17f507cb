/** Reads rows of the store and validates each against its schema, since the file may come from anywhere. */

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { DatabaseError, sqliteCodeOf } from "../common/system-errors.ts";
import { FeatureRelevance } from "../protocol/features.ts";

/** An array of 32-bit numbers. */
const blob = z.instanceof(Uint8Array).refine((bytes) => bytes.length % 4 === 0, "holds no whole number of numbers");
const maybe = z.number().nullable();

const number = z.int().nonnegative();

export const featureRowSchema = z.object({
  id: number,
  layer: number,
  feature: number,
  density: z.number(),
  max_activation: z.number(),
  probe_weight: maybe,
  contribution: maybe,
  twin: number.nullable(),
  twin_cosine: maybe,
  base_twin: number.nullable(),
  base_cosine: maybe,
  /** Missing in stores of earlier versions, which are only read. */
  attribution: maybe.default(null),
  pinned: z.int(),
});
export type StoredFeature = z.infer<typeof featureRowSchema>;

const effectPairs = z.array(z.tuple([z.string(), z.number()]));

export const detailRowSchema = z.object({
  active_tokens: z.int(),
  histogram: blob,
  promotes: jsonText(effectPairs),
  suppresses: jsonText(effectPairs),
});

export const exampleRowSchema = z.object({
  split: z.enum(["explain", "score"]),
  kind: z.enum(["top", "q1", "q2", "q3", "q4", "silent", "random"]),
  rank: z.int(),
  window: z.int(),
  peak: z.int(),
  activations: blob,
  source: z.string(),
  text: z.string(),
  ends: blob,
});

/** How well an explanation predicts where its feature is active. */
const explanationScore = z.object({
  method: z.enum(["detection", "fuzzing"]),
  /** Balanced accuracy, with its 95 % interval. */
  value: z.number(),
  low: z.number(),
  high: z.number(),
  /** Number of judged windows, without those whose answer was unusable. */
  windows: z.int(),
  unusable: z.int(),
  truePositives: z.int(),
  positives: z.int(),
  trueNegatives: z.int(),
  negatives: z.int(),
  /** Balanced accuracy on the same windows with another feature's explanation. */
  control: z.number().nullable(),
});

export const explanationDetail = z.object({
  /** Words that the explanation is based on, for judges without a language model. */
  terms: z.array(z.string()),
  scores: z.array(explanationScore),
  relevance: FeatureRelevance.extend({ confidence: z.number(), why: z.string() }).nullable(),
});
export type ExplanationDetail = z.infer<typeof explanationDetail>;

export const explanationRowSchema = z.object({
  explainer: z.string(),
  text: z.string(),
  detail: jsonText(explanationDetail),
  by_run: z.int(),
  created: z.string(),
});

/** A statement's first row, validated; undefined if there is none or it is damaged. Throws `DatabaseError`. */
export function firstRow<T>(statement: StatementSync, schema: z.ZodType<T>, ...given: SQLInputValue[]): T | undefined {
  const row = asked(damageOf.get(statement)?.path, () => statement.get(...given));
  return row === undefined ? undefined : sound(statement, schema, [row])[0];
}

/** All of a statement's rows, validated; skips and counts damaged ones. Throws `DatabaseError`. */
export function allRows<T>(statement: StatementSync, schema: z.ZodType<T>, ...given: SQLInputValue[]): T[] {
  return sound(
    statement,
    schema,
    asked(damageOf.get(statement)?.path, () => statement.all(...given)),
  );
}

function sound<T>(statement: StatementSync, schema: z.ZodType<T>, rows: readonly unknown[]): T[] {
  return rows.flatMap((row) => {
    const parsed = schema.safeParse(row);
    if (parsed.success) return [parsed.data];
    damageOf.get(statement)?.count();
    return [];
  });
}

/** Runs a query; converts SQLite's errors about damage or reading to ours. */
function asked<T>(path: string | undefined, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (sqliteCodeOf(error) === undefined) throw error;
    throw new DatabaseError(`${path ?? "the feature store"} could not be read`, error);
  }
}

/** Counts one store's rows that were skipped because they are not in the form that the program writes. */
class Damage {
  readonly path: string;
  readonly #onFirst: (path: string) => void;
  rows = 0;

  constructor(path: string, onFirst: (path: string) => void) {
    this.path = path;
    this.#onFirst = onFirst;
  }

  count(): void {
    this.rows += 1;
    if (this.rows === 1) this.#onFirst(this.path);
  }
}

/** The counter of the store that each statement belongs to. */
const damageOf = new WeakMap<StatementSync, Damage>();

/** The schema of a column with JSON. */
function jsonText<T>(schema: z.ZodType<T>) {
  return z.string().transform((text, context): T => {
    const { data, success } = schema.safeParse(tryJson(text));
    if (success) return data;
    context.addIssue({ code: "custom", message: "is not the JSON that is expected" });
    return z.NEVER;
  });
}

/** The single number of a statement's result, in the column `n`. */
export function numberOf(statement: StatementSync, ...given: SQLInputValue[]): number {
  return firstRow(statement, numberSchema, ...given)?.n ?? 0;
}

const numberSchema = z.object({ n: z.number() });

/** Cache of prepared statements, by their text. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  readonly #damage: Damage;

  /** Calls `onDamage` once, with the path of the store, when the first damaged row is skipped. */
  constructor(db: DatabaseSync, path: string, onDamage: (path: string) => void = () => undefined) {
    this.#db = db;
    this.#damage = new Damage(path, onDamage);
  }

  get(sql: string): StatementSync {
    const found = this.#prepared.get(sql) ?? asked(this.#damage.path, () => this.#db.prepare(sql));
    this.#prepared.set(sql, found);
    damageOf.set(found, this.#damage);
    return found;
  }

  /** Number of damaged rows skipped so far; one that is read twice counts twice. */
  get damagedRows(): number {
    return this.#damage.rows;
  }

  /** Runs several reads on one snapshot of the store, whatever other processes write meanwhile. */
  onOneState<T>(read: () => T): T {
    if (this.#db.isTransaction) return read();
    return asked(this.#damage.path, () => {
      this.#db.exec("BEGIN");
      try {
        return read();
      } finally {
        if (this.#db.isTransaction) this.#db.exec("COMMIT");
      }
    });
  }
}
