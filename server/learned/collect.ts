/**
 * The log-ratio of tuned and base model at every rated word of some texts. Letters: B texts and T tokens a run.
 */
import { BatchCursor } from "../common/batch-cursor.ts";
import { invariant } from "../common/errors.ts";
import type { Device } from "../engine/device.ts";
import type { LogRatios, ModelPair } from "../models/log-ratio.ts";
import { type LearnedText, openReader, piecesOf, type ReaderShape, type TextReader } from "./reader.ts";

export type { LearnedText } from "./reader.ts";

/** Every place of a rated word that both models' vocabularies cover, in the order of the texts. */
export interface LearnedPlaces {
  readonly words: readonly { readonly word: string; readonly rating: number }[];
  /** Index in `words`, index of the text, and the sum of the pieces' log-ratios in nats; one entry a place. */
  readonly word: Int32Array;
  readonly text: Int32Array;
  readonly logRatio: Float64Array;
  /**
   * For each text, the sum of KL(tuned || base) over its predicted tokens (undefined if it was not computed), and
   * the number of these tokens.
   */
  readonly kl: Float64Array | undefined;
  readonly tokens: Int32Array;
}

export interface LearnedOptions {
  readonly device: Device;
  readonly pair: ModelPair;
  /** Whether to compute the divergence too, which needs the logits of every token; true by default. */
  readonly kl?: boolean;
  /** Approximate number of tokens that go through both models at once. */
  readonly tokensPerRun?: number;
}

/** Arrays by name, as `captured` returned them. */
type Captured = Readonly<Partial<Record<"logRatio" | "kl", Float64Array>>>;

interface Batch extends ReaderShape {
  /** Indices of texts. */
  readonly texts: readonly number[];
}

/** Collects log-ratios one batch of texts a step, so that a caller can checkpoint in between and resume. */
export class LearnedCollection {
  readonly #options: LearnedOptions;
  readonly #texts: readonly LearnedText[];
  readonly #cursor: BatchCursor<Batch>;
  /** Index of each text's first place. */
  readonly #starts: Int32Array;
  readonly #logRatio: Float64Array;
  readonly #kl: Float64Array;
  #reader: TextReader | undefined;

  constructor(texts: readonly LearnedText[], options: LearnedOptions) {
    this.#options = options;
    this.#texts = texts;
    this.#cursor = new BatchCursor(batchesOf(texts, options.tokensPerRun ?? 4096), (batch) => batch.texts.length);
    this.#starts = new Int32Array(texts.length);
    let places = 0;
    for (const [at, text] of texts.entries()) {
      this.#starts[at] = places;
      places += text.places.length;
    }
    this.#logRatio = new Float64Array(places);
    this.#kl = new Float64Array(texts.length);
  }

  get texts(): number {
    return this.#texts.length;
  }

  get doneTexts(): number {
    return this.#cursor.doneItems;
  }

  /** Number of batches done. */
  get done(): number {
    return this.#cursor.done;
  }

  /** Runs the next batch; false when there is none. */
  async step(): Promise<boolean> {
    const batch = this.#cursor.next;
    if (batch === undefined) return false;
    const reader = await this.#readerFor(batch);
    const results = await reader.read(batch.texts.flatMap((at) => this.#texts[at] ?? []));
    for (const [row, at] of batch.texts.entries()) this.#keep(at, results[row]);
    this.#cursor.advance();
    return true;
  }

  /** The partial result; together with `done` it is all that `restore` needs. */
  captured(): Readonly<Record<"logRatio" | "kl", Float64Array>> {
    return { logRatio: this.#logRatio, kl: this.#kl };
  }

  /** Resumes after `done` batches from the values captured then. */
  restore(done: number, { logRatio, kl }: Captured): void {
    invariant(
      logRatio?.length === this.#logRatio.length && kl?.length === this.#kl.length,
      "the checkpoint's log-ratios are not of this collection",
    );
    this.#cursor.restore(done);
    this.#logRatio.set(logRatio);
    this.#kl.set(kl);
  }

  /** Returns the result once every batch is done, and frees the device memory of the collection. */
  async finish(): Promise<LearnedPlaces> {
    await this.dispose();
    this.#cursor.requireAll();
    const { words, word, text, tokens } = wordsOf(this.#texts);
    // Tuning could not have made a token likelier that only one of the models has.
    const known = (_: number, at: number): boolean => !Number.isNaN(this.#logRatio[at]);
    return {
      words,
      word: word.filter(known),
      text: text.filter(known),
      logRatio: this.#logRatio.filter(known),
      kl: this.#options.kl === false ? undefined : this.#kl,
      tokens,
    };
  }

  async dispose(): Promise<void> {
    await this.#reader?.dispose();
    this.#reader = undefined;
  }

  #keep(at: number, found: LogRatios | undefined): void {
    const { places = [], ids = new Int32Array() } = this.#texts[at] ?? {};
    const { logRatio = new Float32Array(), kl } = found ?? {};
    const start = this.#starts[at] ?? 0;
    for (const [index, { from, to }] of places.entries()) {
      let sum = 0;
      for (let piece = from; piece < to; piece += 1) sum += logRatio[piece] ?? Number.NaN;
      this.#logRatio[start + index] = sum;
    }
    // The prediction after the last token is of nothing in the text.
    this.#kl[at] = (kl ?? new Float32Array()).subarray(0, ids.length - 1).reduce((sum, value) => sum + value, 0);
  }

  async #readerFor({ shape, pieces }: ReaderShape): Promise<TextReader> {
    const { device, pair, kl = true } = this.#options;
    const [B, T] = this.#reader?.of.shape ?? [0, 0];
    if (this.#reader !== undefined && B === shape[0] && T === shape[1]) return this.#reader;
    await this.dispose();
    this.#reader = await openReader(device, pair, { shape, pieces }, kl);
    return this.#reader;
  }
}

/** Lengths are rounded up to a multiple of this: few programs to compile, little padding. */
const lengthStep = 32;

/** Groups texts of similar length, the shortest first; the order depends on the texts alone. */
function batchesOf(texts: readonly LearnedText[], tokensPerRun: number): Batch[] {
  const byLength = new Map<number, number[]>();
  for (const [at, { ids }] of texts.entries()) {
    const length = lengthStep * Math.ceil(ids.length / lengthStep);
    const own = byLength.get(length);
    if (own) own.push(at);
    else byLength.set(length, [at]);
  }
  return [...byLength]
    .sort(([a], [b]) => a - b)
    .flatMap(([length, members]) => {
      const B = Math.min(members.length, Math.max(1, Math.floor(tokensPerRun / length)));
      const T = members.reduce((longest, at) => Math.max(longest, texts[at]?.ids.length ?? 0), 0);
      const count = Math.ceil(members.length / B);
      const batches = Array.from({ length: count }, (_, index) => members.slice(index * B, (index + 1) * B));
      const piecesIn = (batch: readonly number[]): number =>
        batch.reduce((sum, at) => sum + piecesOf(texts[at]?.places ?? []).length, 0);
      const pieces = batches.reduce((most, batch) => Math.max(most, piecesIn(batch)), 0);
      return batches.map((batch) => ({ shape: [B, T] as const, pieces, texts: batch }));
    });
}

function wordsOf(texts: readonly LearnedText[]): Pick<LearnedPlaces, "words" | "word" | "text" | "tokens"> {
  const indices = new Map<string, number>();
  const words: { readonly word: string; readonly rating: number }[] = [];
  const word: number[] = [];
  const text: number[] = [];
  for (const [at, { places }] of texts.entries()) {
    for (const { word: name, rating } of places) {
      const known = indices.get(name) ?? words.length;
      if (known === words.length) {
        indices.set(name, known);
        words.push({ word: name, rating });
      }
      word.push(known);
      text.push(at);
    }
  }
  const tokens = Int32Array.from(texts, ({ ids }) => Math.max(0, ids.length - 1));
  return { words, word: Int32Array.from(word), text: Int32Array.from(text), tokens };
}
