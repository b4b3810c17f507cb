/**
 * The feature store of a run, `features.sqlite` in its folder: one object for a process that reads or annotates it.
 * Other processes may read and write the same file meanwhile.
 */

import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import type { FeatureId } from "../protocol/ablation.ts";
import type { FeatureDetail, FeatureQuery, FeatureRow, MeasuredEffect } from "../protocol/features.ts";
import { type Carried, carryOver } from "./carry.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { describeStore } from "./describe.ts";
import { NoFeatureError, StoreError } from "./errors.ts";
import { idOfNumber, numberOfId, spaceOf } from "./feature-number.ts";
import { inTransaction, versionOf } from "./open.ts";
import { neighboursOf, queryFeatures } from "./query.ts";
import { detailOf, examplesOf, explanationsOf, type StoredExample, type StoredExplanation, windowsOf } from "./read.ts";
import { type Refill, refill, reindex } from "./refill.ts";
import { allRows, type ExplanationDetail, firstRow, numberOf, type Statements } from "./rows.ts";
import { versionWithAttribution } from "./schema.ts";

/** What people write about a feature; absent fields stay as they are. */
export interface Annotation {
  readonly note?: string | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly pinned?: boolean | undefined;
}

export interface NewExplanation extends ExplanationDetail {
  readonly explainer: string;
  readonly text: string;
}

/** Effects on the task's reward, with where they were measured. */
export interface NewAblation {
  /** Digest of everything that the numbers depend on; a row with the same key is replaced. */
  readonly key: string;
  /** As the commands print it. */
  readonly result: unknown;
  /** For a set of one feature: the effects on that feature's page. */
  readonly effects: readonly (MeasuredEffect & { readonly id: string })[];
}

/** Dispose it (`using`) to close the file. */
export class FeatureStore implements Disposable {
  readonly path: string;
  readonly #connection: Connection;

  private constructor(path: string, options: ConnectionOptions) {
    this.path = path;
    this.#connection = new Connection(path, options);
  }

  /**
   * Opens a store, read-only without write access. Calls `onDamage` once, when the first damaged row is skipped. Throws
   * `StoreError`.
   */
  static open(path: string, options: Omit<ConnectionOptions, "journal"> = {}): FeatureStore {
    return new FeatureStore(path, { ...options, journal: "wal" });
  }

  /** Opens a stage's output read-only. Throws `StoreError`. */
  static openOutput(path: string): FeatureStore {
    return new FeatureStore(path, { journal: "readOnly" });
  }

  /** A page of the table. */
  query(query: FeatureQuery, page: { readonly offset: number; readonly count: number }) {
    if (query.sort === "attribution" && versionOf(this.#db) < versionWithAttribution)
      throw new StoreError(`${this.path} was written by an earlier version of lfp, which knew no attributions`);
    return this.#statements.onOneState(() => queryFeatures(this.#statements, query, page));
  }

  /** The features before and after one in the order of a query. */
  neighbours(query: FeatureQuery, id: FeatureId) {
    return this.#statements.onOneState(() => neighboursOf(this.#statements, query, id));
  }

  describe() {
    return this.#statements.onOneState(() => describeStore(this.#statements));
  }

  /** Everything about a feature; undefined if no feature has this id. */
  detail(id: string): FeatureDetail | undefined {
    const number = numberOfId(id);
    if (number === undefined) return;
    return this.#statements.onOneState(() => detailOf(this.#statements, number));
  }

  /** As `detail`; throws `NoFeatureError`. */
  need(id: string): FeatureDetail {
    const found = this.detail(id);
    if (found === undefined) throw new NoFeatureError(id, this.path);
    return found;
  }

  /** The text of the explanation that is shown first; undefined if there is none. Reads nothing else of the feature. */
  explanationText(id: string): string | undefined {
    const number = numberOfId(id);
    return number === undefined ? undefined : explanationsOf(this.#statements, number)[0]?.text;
  }

  /**
   * A feature's largest activation in the run's texts; undefined if no feature has this id. Reads nothing else of it.
   */
  maxActivation(id: string): number | undefined {
    const sql = "SELECT max_activation AS n FROM features WHERE id = ?";
    return firstRow(this.#statements.get(sql), largestSchema, numberOfId(id) ?? -1)?.n;
  }

  examples(id: string): StoredExample[] {
    const number = numberOfId(id);
    return number === undefined ? [] : examplesOf(this.#statements, number);
  }

  /** The tokens of the first windows of text, at most `count`. */
  windows(count: number): string[][] {
    return windowsOf(this.#statements, count);
  }

  explanations(id: string): StoredExplanation[] {
    const number = numberOfId(id);
    return number === undefined ? [] : explanationsOf(this.#statements, number);
  }

  /** A fact about the store, such as the model's name or the task's description. */
  meta(key: string): string | undefined {
    const schema = z.object({ value: z.string() });
    return firstRow(this.#statements.get("SELECT value FROM meta WHERE key = ?"), schema, key)?.value;
  }

  /** Runs `work` once per output; `key` is the output's. A refill resets this. */
  once(what: string, key: string, work: () => void): void {
    if (this.meta(`done:${what}`) === key) return;
    work();
    this.#connection.write(() =>
      this.#statements.get("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(`done:${what}`, key),
    );
  }

  /** Saves what a person wrote. Throws `NoFeatureError`. */
  annotate(id: string, { note, labels, pinned }: Annotation): FeatureRow {
    return this.#connection.write(() => {
      const number = this.#existing(id);
      const digest = this.#digestOf(number);
      if (labels !== undefined) {
        this.#statements.get("DELETE FROM labels WHERE feature = ?").run(number);
        const add = this.#statements.get("INSERT OR IGNORE INTO labels VALUES (?, ?, ?)");
        for (const label of labels) add.run(number, label, digest);
      }
      if (note !== undefined) {
        this.#statements.get("DELETE FROM notes WHERE feature = ?").run(number);
        const add = this.#statements.get("INSERT INTO notes VALUES (?, ?, ?, ?)");
        if (note !== "") add.run(number, note, digest, new Date().toISOString());
      }
      if (pinned !== undefined) {
        this.#statements.get("DELETE FROM pins WHERE feature = ?").run(number);
        if (pinned) this.#statements.get("INSERT INTO pins VALUES (?, ?)").run(number, digest);
        this.#statements.get("UPDATE features SET pinned = ? WHERE id = ?").run(Number(pinned), number);
      }
      reindex(this.#statements, [number]);
      return this.need(id).row;
    });
  }

  /** Saves explanations, replacing those of the same explainer. `byRun` ones are removed when the run is recomputed. */
  addExplanations(
    found: readonly { readonly id: string; readonly explanation: NewExplanation }[],
    byRun: boolean,
  ): void {
    this.#connection.write(() => {
      const insert = this.#statements.get(
        `INSERT OR REPLACE INTO explanations (feature, explainer, text, detail, by_run, digest, created) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      );
      const numbers = found.map(({ id, explanation: { explainer, text, ...detail } }) => {
        const number = this.#existing(id);
        const now = new Date().toISOString();
        insert.run(number, explainer, text, JSON.stringify(detail), Number(byRun), this.#digestOf(number), now);
        return number;
      });
      this.#summarise(numbers);
      reindex(this.#statements, numbers);
    });
  }

  /** Saves how much of what tuning raised each feature carries; removed when the run is recomputed. */
  setAttributions(found: readonly { readonly id: string; readonly score: number }[]): void {
    this.#connection.write(() => {
      const update = this.#statements.get("UPDATE features SET attribution = ? WHERE id = ?");
      for (const { id, score } of found) update.run(score, this.#existing(id));
    });
  }

  /** Saves measured effects. The run's own are removed when it is recomputed. */
  addAblations(found: readonly NewAblation[], byRun: boolean): void {
    this.#connection.write(() => {
      for (const ablation of found) this.#addAblation(ablation, byRun);
    });
  }

  #addAblation({ key, result, effects }: NewAblation, byRun: boolean): void {
    const numbers = effects.map(({ id }) => this.#existing(id));
    const { data } = aboutSchema.safeParse(result);
    const digest = this.#digestOfSet((data?.features ?? effects).map(({ id }) => id));
    this.#statements.get("DELETE FROM effects WHERE ablation IN (SELECT id FROM ablations WHERE key = ?)").run(key);
    const { lastInsertRowid } = this.#statements
      .get("INSERT OR REPLACE INTO ablations (key, result, by_run, digest, created) VALUES (?, ?, ?, ?, ?)")
      .run(key, JSON.stringify(result), Number(byRun), digest, new Date().toISOString());
    const insert = this.#statements.get("INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    for (const [at, { what, factor, prompts, change, low, high }] of effects.entries())
      insert.run(lastInsertRowid, numbers[at] ?? 0, what, factor, prompts, change, low, high);
    this.#summarise(numbers);
  }

  /** Ablations that were measured after the run, by commands or in the editor, the newest first. */
  laterAblations(): LaterAblation[] {
    return this.#statements.onOneState(() => {
      const sql = "SELECT key, result, digest, created FROM ablations WHERE by_run = 0 ORDER BY id DESC";
      return allRows(this.#statements.get(sql), laterSchema).flatMap(({ key, result, digest, created }) => {
        const parsed = tryJson(result);
        if (parsed === undefined) return [];
        const { data } = aboutSchema.safeParse(parsed);
        const now = data === undefined ? "" : this.#digestOfSet(data.features.map(({ id }) => id));
        // Sets have no digest in stores of earlier versions.
        return [{ key, result: parsed, created, earlier: data !== undefined && digest !== "" && digest !== now }];
      });
    });
  }

  /** The cached answer of an endpoint to this very request. */
  answer(key: string): StoredAnswer | undefined {
    const row = firstRow(this.#statements.get("SELECT * FROM answers WHERE key = ?"), answerSchema, key);
    return row && { answer: row.answer, inputTokens: row.input_tokens, outputTokens: row.output_tokens };
  }

  keepAnswer(key: string, { answer, inputTokens, outputTokens }: StoredAnswer): void {
    this.#connection.write(() =>
      this.#statements
        .get("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)")
        .run(key, answer, inputTokens, outputTokens, new Date().toISOString()),
    );
  }

  /** Runs several writes. Where each would replace the whole file, they replace it once, or not at all if one throws. */
  together(writes: () => void): void {
    this.#connection.writing(writes);
  }

  /** Throws `ReadOnlyStoreError` without write access, before any cost or wait. */
  requireWritable(): void {
    inTransaction(this.#db, () => this.#statements.get("DELETE FROM meta WHERE false").run());
  }

  /** Carries over what people wrote, paid for or measured in another store, see carry.ts. Throws `StoreError`. */
  carryOver(from: { readonly path: string; readonly seen: ReadonlySet<string> }): Carried {
    return this.#connection.writing(() =>
      carryOver(this.#db, this.#statements, from, (features) => this.#summarise(features)),
    );
  }

  /**
   * Replaces the run's computed rows by its stage's output; keeps what people wrote. Returns false if the store has
   * that output already.
   */
  refill(source: Refill): boolean {
    return this.#connection.writing(() =>
      refill(this.#db, this.#statements, source, () => {
        const sql = "SELECT feature AS n FROM explanations UNION SELECT feature FROM effects";
        this.#summarise(allRows(this.#statements.get(sql), z.object({ n: z.int() })).map(({ n }) => n));
      }),
    );
  }

  /** Number of damaged rows skipped so far: not in the form that this program writes. */
  get damagedRows(): number {
    return this.#statements.damagedRows;
  }

  get features(): number {
    return numberOf(this.#statements.get("SELECT count(*) AS n FROM features"));
  }

  /**
   * Whether it reads a copy of its file, as on a network file system: `refresh` keeps it right when the file is replaced,
   * and each write replaces the file whole.
   */
  get isCopy(): boolean {
    return this.#connection.isCopy;
  }

  /** Shows what other processes wrote since: on a network file system a copy is read. Throws `StoreError`. */
  refresh(): void {
    this.#connection.refresh();
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #db(): DatabaseSync {
    return this.#connection.db;
  }

  get #statements(): Statements {
    return this.#connection.statements;
  }

  #existing(id: string): number {
    const number = numberOfId(id);
    const sql = "SELECT count(*) AS n FROM features WHERE id = ?";
    if (number === undefined || numberOf(this.#statements.get(sql), number) === 0)
      throw new NoFeatureError(id, this.path);
    return number;
  }

  #digestOf(number: number): string {
    return this.meta(`digest:${Math.floor(number / 2 ** 20)}`) ?? "";
  }

  /** Joined digests of the dictionaries of a set's features; for a single dictionary, its own digest. */
  #digestOfSet(ids: readonly string[]): string {
    const digests = ids.map((id) => this.#digestOf(numberOfId(id) ?? 0));
    return [...new Set(digests)].sort().join(" ");
  }

  /**
   * Ids of the features that move a reading most: the `count` with the largest mean contribution to the probe's output,
   * then as many that carry most of what tuning raised.
   */
  mostMoving(count: number): string[] {
    const by = (column: string): number[] => {
      const sql = `SELECT id AS n FROM features WHERE space = ? AND density > 0 AND ${column} <> 0 ORDER BY abs(${column}) DESC, id DESC LIMIT ?`;
      const rows = allRows(
        this.#statements.get(sql),
        z.object({ n: z.int() }),
        spaceOf({ model: "tuned", size: "small" }),
        count,
      );
      return rows.map(({ n }) => n);
    };
    const knowsAttribution = versionOf(this.#db) >= versionWithAttribution;
    return [...new Set([...by("contribution"), ...(knowsAttribution ? by("attribution") : [])])].map(idOfNumber);
  }

  /** Updates the summary columns of these features from the rows that they summarise. */
  #summarise(numbers: readonly number[]): void {
    const update = this.#statements.get("UPDATE features SET score = ?, relevant = ?, ablation = ? WHERE id = ?");
    for (const number of numbers) {
      const row = detailOf(this.#statements, number)?.row;
      const relevant = row?.explanation?.relevance?.relevant;
      const score = row?.explanation?.score?.value ?? null;
      update.run(score, relevant === undefined ? null : Number(relevant), row?.ablation?.change ?? null, number);
    }
  }

  /**
   * Ids of the features most similar to their twin in the other size, `perLayer` of each layer: those that the method
   * explains.
   */
  mostSimilar(perLayer: number, model: "tuned" | "base" = "tuned"): string[] {
    const sql = `SELECT id AS n FROM (SELECT id, twin_cosine, row_number() OVER (PARTITION BY layer ORDER BY twin_cosine DESC, id) AS place
      FROM features WHERE space = ? AND density > 0 AND twin_cosine IS NOT NULL) WHERE place <= ? ORDER BY id`;
    const rows = this.#statements.get(sql).all(spaceOf({ model, size: "small" }), perLayer);
    return rows.map((row) => idOfNumber(z.object({ n: z.int() }).parse(row).n));
  }
}

export interface LaterAblation {
  /** Digest of everything that the numbers depend on. */
  readonly key: string;
  /** As the command prints it. */
  readonly result: unknown;
  /** ISO 8601. */
  readonly created: string;
  /** Whether its dictionaries have been retrained since. */
  readonly earlier: boolean;
}

const largestSchema = z.object({ n: z.number() });
const laterSchema = z.object({ key: z.string(), result: z.string(), digest: z.string(), created: z.string() });
const aboutSchema = z.object({ features: z.array(z.object({ id: z.string() })) });

export interface StoredAnswer {
  readonly answer: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

const answerSchema = z.object({ answer: z.string(), input_tokens: z.int(), output_tokens: z.int() });
