/** How rows of the store are read: every one is checked against its schema, since the file may come from anywhere. */

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { DatabaseError, sqliteCodeOf } from "../common/system-errors.ts";
import { FeatureRelevance } from "../protocol/features.ts";

/** Numbers of 32 bits each. */
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
  /** Stores of earlier versions, which are only read, have none. */
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
  detail: jsonText(explanationDetail),
  by_run: z.int(),
  created: z.string(),
});

/** The first row that a statement gives, checked; undefined where it gives none, or one that is damaged. Throws `DatabaseError`. */
export function firstRow<T>(statement: StatementSync, schema: z.ZodType<T>, ...given: SQLInputValue[]): T | undefined {
  const row = asked(damageOf.get(statement)?.path, () => statement.get(...given));
  return row === undefined ? undefined : sound(statement, schema, [row])[0];
}

/** All rows that a statement gives, each checked; damaged ones are left out and counted. Throws `DatabaseError`. */
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

/** What SQLite itself finds damaged, or cannot read, is said as an error of ours. */
function asked<T>(path: string | undefined, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (sqliteCodeOf(error) === undefined) throw error;
    throw new DatabaseError(`${path ?? "the feature store"} could not be read`, error);
  }
}

/** Rows of one store that were left out because they are not what the program writes. */
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

/** Of the stores whose `Statements` prepared them. */
const damageOf = new WeakMap<StatementSync, Damage>();

/** A column that holds JSON. */
function jsonText<T>(schema: z.ZodType<T>) {
  return z.string().transform((text, context): T => {
    const { data, success } = schema.safeParse(tryJson(text));
    if (success) return data;
    context.addIssue({ code: "custom", message: "is not the JSON that is expected" });
    return z.NEVER;
  });
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
  readonly #damage: Damage;

  /** `onDamage` is called once, with the path of the store, when the first damaged row is left out. */
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

  /** How many damaged rows were left out so far; one that is read twice counts twice. */
  get damagedRows(): number {
    return this.#damage.rows;
  }

  /** Runs several statements that read on one state of the store, whatever other processes write meanwhile. */
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
