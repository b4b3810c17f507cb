/** How rows of the store are read: every one is checked against its schema, since the file may come from anywhere. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { z } from "zod";
import { FeatureRelevance } from "../protocol/features.ts";

const blob = z.instanceof(Uint8Array);
const maybe = z.number().nullable();

export const featureRowSchema = z.object({
  id: z.int(),
  layer: z.int(),
  feature: z.int(),
  density: z.number(),
  max_activation: z.number(),
  probe_weight: maybe,
  contribution: maybe,
  twin: maybe,
  twin_cosine: maybe,
  base_twin: maybe,
  base_cosine: maybe,
  /** Stores of earlier versions, which are only read, have none. */
  attribution: maybe.default(null),
  pinned: z.int(),
});
export type StoredFeature = z.infer<typeof featureRowSchema>;

export const detailRowSchema = z.object({
  active_tokens: z.int(),
  histogram: blob,
  promotes: z.string(),
  suppresses: z.string(),
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

/** How well an explanation predicts where its feature fires. */
const explanationScore = z.object({
  method: z.enum(["detection", "fuzzing"]),
  /** Balanced accuracy, with its 95 % interval. */
  value: z.number(),
  low: z.number(),
  high: z.number(),
  /** Windows that were judged; those with an answer that could not be used are left out. */
  windows: z.int(),
  unusable: z.int(),
  truePositives: z.int(),
  positives: z.int(),
  trueNegatives: z.int(),
  negatives: z.int(),
  /** The same windows judged by another feature's explanation. */
  control: z.number().nullable(),
});

export const explanationDetail = z.object({
  /** Words that the explanation stands on, for judges that have no language model. */
  terms: z.array(z.string()),
  scores: z.array(explanationScore),
  relevance: FeatureRelevance.extend({ confidence: z.number(), why: z.string() }).nullable(),
});
export type ExplanationDetail = z.infer<typeof explanationDetail>;

export const explanationRowSchema = z.object({
  explainer: z.string(),
  text: z.string(),
  detail: z.string(),
  by_run: z.int(),
  created: z.string(),
});

/** The first row that a statement gives, checked; undefined where it gives none. */
export function firstRow<T>(statement: StatementSync, schema: z.ZodType<T>, ...given: SQLInputValue[]): T | undefined {
  const row = statement.get(...given);
  return row === undefined ? undefined : schema.parse(row);
}

/** All rows that a statement gives, each checked. */
export function allRows<T>(statement: StatementSync, schema: z.ZodType<T>, ...given: SQLInputValue[]): T[] {
  return statement.all(...given).map((row) => schema.parse(row));
}

/** A number that a statement gives alone, under the name `n`. */
export function numberOf(statement: StatementSync, ...given: SQLInputValue[]): number {
  return firstRow(statement, numberSchema, ...given)?.n ?? 0;
}

const numberSchema = z.object({ n: z.number() });

/** Statements by their text, each prepared once. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  get(sql: string): StatementSync {
    const found = this.#prepared.get(sql) ?? this.#db.prepare(sql);
    this.#prepared.set(sql, found);
    return found;
  }

  /** Runs several statements that read on one state of the store, whatever other processes write meanwhile. */
  onOneState<T>(read: () => T): T {
    if (this.#db.isTransaction) return read();
    this.#db.exec("BEGIN");
    try {
      return read();
    } finally {
      if (this.#db.isTransaction) this.#db.exec("COMMIT");
    }
  }
}
