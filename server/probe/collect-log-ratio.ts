/**
 * The learned reward at spans of texts, such as the target words of triples: how tuning changed the model's
 * prediction of each. Letters as in features.ts.
 */
import { BatchCursor } from "../common/batch-cursor.ts";
import { invariant } from "../common/errors.ts";
import type { Device } from "../engine/device.ts";
import type { ModelPair } from "../models/log-ratio.ts";
import { type NextToken, NextTokenLogRatios } from "../models/target-log-ratio.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Span } from "../tasks/task.ts";
import type { GivenSequences } from "./collect.ts";
import { type Bucket, type CollectBatch, planBatches, type TargetSequence, targetSequence } from "./collect-plan.ts";

export interface LogRatioOptions {
  readonly device: Device;
  readonly pair: ModelPair;
  readonly tokenizer: Tokenizer;
  /** Token ids before every text, if the model was trained with such a prefix. */
  readonly prefixIds?: readonly number[];
  /** About how many tokens go through the models at once. */
  readonly tokensPerRun?: number;
}

/**
 * Collects lambda of every span, in nats:
 *
 *     lambda = sum over the span's tokens t of log pi_tuned(t | before) - log pi_base(t | before)
 *
 * Lambda scores the prediction of the span, so it is read at the token before each of the span's tokens, whereas
 * features are read at these tokens themselves. Each step runs one batch, so that a caller can checkpoint in between
 * and resume. NaN where nothing precedes the span, or only one model's vocabulary has one of its tokens.
 */
export class LogRatioCollection {
  /** Number of distinct text beginnings to read: versions of a triple share theirs. */
  readonly texts: number;
  readonly #options: LogRatioOptions;
  readonly #cursor: BatchCursor<CollectBatch>;
  /** The tokens to score after each beginning, and the row that each adds to. */
  readonly #questions: readonly (readonly Question[])[];
  readonly #rows: Float32Array<ArrayBuffer>;
  #compiled: { readonly bucket: Bucket; readonly program: NextTokenLogRatios } | undefined;

  /** Throws `ContextLengthError` for a text that the models cannot read up to its target. */
  constructor(what: readonly Span[] | GivenSequences, options: LogRatioOptions) {
    const { pair, tokenizer, prefixIds = [], tokensPerRun = 1024 } = options;
    const contextLength = Math.min(pair.tuned.config.contextLength, pair.base.config.contextLength);
    const plan = { tokenizer, contextLength, multiToken: "average" as const, prefixIds, tokensPerRun };
    this.#options = options;
    const given = "sequences" in what ? what.sequences : what.map((span, row) => targetSequence(span, row, plan));
    this.#rows = new Float32Array(given.length);
    const beginnings = new Map<string, { readonly ids: Int32Array; readonly questions: Question[] }>();
    for (const { row, ids, places } of given) {
      if (places[0] === 0) this.#rows[row] = Number.NaN;
      else ask(beginnings, row, ids, places);
    }
    const asked = [...beginnings.values()];
    this.texts = asked.length;
    this.#questions = asked.map(({ questions }) => questions);
    const sequences = asked.map(
      ({ ids, questions }, row): TargetSequence => ({ row, ids, places: questions.map(({ place }) => place) }),
    );
    const questions = sequences.reduce((sum, { places }) => sum + places.length, 0);
    const mean = Math.max(1.25, (1.1 * questions) / Math.max(1, asked.length));
    const targetsPerText = "sequences" in what ? ("measured" as const) : mean;
    this.#cursor = new BatchCursor(
      planBatches(sequences, { ...plan, targetsPerText }),
      (batch) => batch.sequences.length,
    );
  }

  get doneTexts(): number {
    return this.#cursor.doneItems;
  }

  /** Batches done so far. */
  get done(): number {
    return this.#cursor.done;
  }

  /** Runs the next batch; false when there is none. */
  async step(): Promise<boolean> {
    const batch = this.#cursor.next;
    if (batch === undefined) return false;
    const program = await this.#programFor(batch.bucket);
    const questions = batch.sequences.flatMap(({ row }, text) =>
      (this.#questions[row] ?? []).map((question) => ({ ...question, text })),
    );
    const ratios = await program.score(
      batch.sequences.map(({ ids }) => ids),
      questions,
    );
    for (const [at, { row }] of questions.entries())
      this.#rows[row] = (this.#rows[row] ?? Number.NaN) + (ratios[at] ?? Number.NaN);
    this.#cursor.advance();
    return true;
  }

  /** The partial result [S], not copied; the caller stores it in a checkpoint together with `done`. */
  captured(): Readonly<Record<"logRatio", Float32Array<ArrayBuffer>>> {
    return { logRatio: this.#rows };
  }

  /** Resumes after `done` batches from the values captured then. */
  restore(done: number, { logRatio }: Readonly<Partial<Record<"logRatio", Float32Array>>>): void {
    invariant(logRatio?.length === this.#rows.length, "the checkpoint's log-ratios are not of this collection");
    this.#cursor.restore(done);
    this.#rows.set(logRatio);
  }

  /** Returns the log-ratios [S] once every batch is done, and frees the device memory of the collection. */
  async finish(): Promise<Float32Array<ArrayBuffer>> {
    await this.dispose();
    this.#cursor.requireAll();
    return this.#rows;
  }

  async dispose(): Promise<void> {
    await this.#compiled?.program.dispose();
    this.#compiled = undefined;
  }

  /** Keeps one program at a time, as `FeatureCollection` does. */
  async #programFor(bucket: Bucket): Promise<NextTokenLogRatios> {
    if (this.#compiled?.bucket === bucket) return this.#compiled.program;
    await this.dispose();
    const { device, pair } = this.#options;
    const { texts, tokens, targets } = bucket;
    const program = await NextTokenLogRatios.create(device, pair, { shape: [texts, tokens], most: targets });
    this.#compiled = { bucket, program };
    return program;
  }
}

/** A token of a row's span, and the position that predicts it. */
interface Question extends Pick<NextToken, "place" | "id"> {
  readonly row: number;
}

/** Adds a span's tokens to the questions of its beginning: everything before the span's last token. */
function ask(
  beginnings: Map<string, { readonly ids: Int32Array; readonly questions: Question[] }>,
  row: number,
  ids: Int32Array,
  places: readonly number[],
): void {
  const before = ids.subarray(0, -1);
  const key = before.join(" ");
  const beginning = beginnings.get(key) ?? { ids: before, questions: [] };
  beginnings.set(key, beginning);
  for (const place of places) beginning.questions.push({ row, place: place - 1, id: ids[place] ?? 0 });
}
