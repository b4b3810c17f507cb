/** Writes what the pipeline computes: dictionaries, features, windows of text and examples. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { FeaturePlace } from "../protocol/ablation.ts";
import { countsToBlob, floatsToBlob } from "./blobs.ts";
import { storeFailure } from "./errors.ts";
import { type Dictionary, numberOfDictionary, numberOfFeature, spaceOf } from "./feature-number.ts";
import { checkWhole, isOnNetwork, openDatabase } from "./open.ts";
import { WorkingCopy } from "./working-copy.ts";

export interface DictionaryRecord extends Dictionary {
  readonly features: number;
  /** Number of tokens that the statistics are computed from. */
  readonly tokens: number;
  /** Digest of the autoencoder's weights: tells whether a note is about this dictionary or an earlier one. */
  readonly digest: string;
}

export interface LogitEffect {
  readonly token: string;
  readonly logit: number;
}

/** A similar feature of another dictionary. */
export interface Twin {
  readonly place: FeaturePlace;
  readonly cosine: number;
}

export interface FeatureRecord {
  readonly place: FeaturePlace;
  readonly density: number;
  readonly activeTokens: number;
  readonly maxActivation: number;
  readonly probeWeight: number | null;
  readonly contribution: number | null;
  /** Activations above zero in equal bins up to `maxActivation`. */
  readonly histogram: Uint32Array;
  readonly twin: Twin | null;
  readonly baseTwin: Twin | null;
  readonly promotes: readonly LogitEffect[];
  readonly suppresses: readonly LogitEffect[];
}

/** A range of a text, cut into tokens. */
export interface WindowRecord {
  readonly id: number;
  readonly source: string;
  readonly text: string;
  /** Where each token ends, in UTF-16 units of `text`. */
  readonly ends: Uint32Array;
}

/**
 * `top`: the strongest windows; `q1` (weakest) to `q4`: by quarters of the activation's size; `silent`: the same words,
 * not active; `random`: any window where it is not active.
 */
const exampleKinds = ["top", "q1", "q2", "q3", "q4", "silent", "random"] as const;
export type ExampleKind = (typeof exampleKinds)[number];
/** Explanations are made from `explain` and scored on `score`, which share no text. */
export type ExampleSplit = "explain" | "score";

export interface ExampleRecord {
  readonly place: FeaturePlace;
  readonly split: ExampleSplit;
  readonly kind: ExampleKind;
  readonly rank: number;
  readonly window: number;
  /** Index of the peak's token in the window. */
  readonly peak: number;
  /** One for each token of the window. */
  readonly activations: Float32Array;
}

/**
 * Fills a new file, or continues one that another writer filled up to a `commit`. Equal calls give equal bytes, through
 * one writer or several.
 */
export class StoreWriter {
  /** The file written now: local for a store on a network file system, which `finish` puts in its place whole. */
  readonly path: string;
  readonly #target: string;
  readonly #copy: WorkingCopy | undefined;
  readonly #db: DatabaseSync;
  readonly #statements: Readonly<Record<keyof typeof insertions, StatementSync>>;

  /** Throws `StoreError` and `DatabaseError`. */
  constructor(path: string, { onNetwork = isOnNetwork(path) }: { readonly onNetwork?: boolean } = {}) {
    this.#target = path;
    this.#copy = onNetwork ? new WorkingCopy(path) : undefined;
    this.path = this.#copy?.path ?? path;
    this.#db = openDatabase(this.path, { create: true, journal: "single", original: path });
    this.#statements = {
      dictionary: this.#db.prepare(insertions.dictionary),
      feature: this.#db.prepare(insertions.feature),
      details: this.#db.prepare(insertions.details),
      window: this.#db.prepare(insertions.window),
      example: this.#db.prepare(insertions.example),
      meta: this.#db.prepare(insertions.meta),
    };
    this.#db.exec("BEGIN");
  }

  meta(key: string, value: string): void {
    this.#insert("meta", key, value);
  }

  dictionary({ model, size, layer, features, tokens, digest }: DictionaryRecord): void {
    this.#insert("dictionary", model, size, layer, features, tokens);
    this.meta(`digest:${numberOfDictionary({ model, size, layer })}`, digest);
  }

  feature(record: FeatureRecord): void {
    const { place, twin, baseTwin } = record;
    const id = numberOfFeature(place);
    this.#insert(
      "feature",
      id,
      spaceOf(place),
      place.layer,
      place.feature,
      record.density,
      record.maxActivation,
      record.probeWeight,
      record.contribution,
      twin === null ? null : numberOfFeature(twin.place),
      twin === null ? null : twin.cosine,
      baseTwin === null ? null : numberOfFeature(baseTwin.place),
      baseTwin === null ? null : baseTwin.cosine,
    );
    const effects = (list: readonly LogitEffect[]): string =>
      JSON.stringify(list.map(({ token, logit }) => [token, logit]));
    this.#insert(
      "details",
      id,
      record.activeTokens,
      countsToBlob(record.histogram),
      effects(record.promotes),
      effects(record.suppresses),
    );
  }

  /** Writes a window; keeps an existing one. */
  window({ id, source, text, ends }: WindowRecord): void {
    this.#insert("window", id, source, text, countsToBlob(ends));
  }

  example({ place, split, kind, rank, window, peak, activations }: ExampleRecord): void {
    this.#insert("example", numberOfFeature(place), split, kind, rank, window, peak, floatsToBlob(activations));
  }

  /** Commits what was written so far. */
  commit(): void {
    this.#exec("COMMIT; BEGIN");
  }

  /** Commits and closes. */
  finish(): void {
    this.#exec("COMMIT");
    if (this.#copy !== undefined) checkWhole(this.#db);
    this.#db.close();
    this.#copy?.publish();
    this.#copy?.[Symbol.dispose]();
  }

  /** Closes the file and discards what came after the last commit; on a network file system, everything. */
  abandon(): void {
    if (this.#db.isOpen) this.#db.close();
    this.#copy?.[Symbol.dispose]();
  }

  #insert(what: keyof typeof insertions, ...values: SQLInputValue[]): void {
    this.#guarded(() => this.#statements[what].run(...values));
  }

  #exec(sql: string): void {
    this.#guarded(() => this.#db.exec(sql));
  }

  /** Throws `DatabaseError` for what SQLite throws. */
  #guarded(write: () => unknown): void {
    try {
      write();
    } catch (error) {
      throw storeFailure(this.#target, "could not be written", error);
    }
  }
}

const insertions = {
  meta: "INSERT INTO meta VALUES (?, ?)",
  dictionary: "INSERT INTO dictionaries VALUES (?, ?, ?, ?, ?)",
  feature: `INSERT INTO features (id, space, layer, feature, density, max_activation, probe_weight, contribution, twin, twin_cosine, base_twin,
    base_cosine) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  details: "INSERT INTO details VALUES (?, ?, ?, ?, ?)",
  window: "INSERT OR IGNORE INTO windows VALUES (?, ?, ?, ?)",
  example: "INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?)",
} as const;
