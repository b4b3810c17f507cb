import type { Random } from "../common/random.ts";
import { TooFewPairsError } from "./dpo-errors.ts";

/**
 * An endless sequence of batches: every epoch takes all items, shuffled anew or in the given order, and drops the
 * remainder that does not fill a batch. Batch number k is a function of the seed and k, so k is the only state to
 * save.
 */
export class EpochBatches<T> {
  readonly #items: readonly T[];
  readonly #batchSize: number;
  readonly #order: "shuffled" | "given";

  /** Throws `TooFewPairsError`. */
  constructor(items: readonly T[], batchSize: number, order: "shuffled" | "given") {
    if (items.length < batchSize) throw new TooFewPairsError(items.length, batchSize);
    this.#items = items;
    this.#batchSize = batchSize;
    this.#order = order;
  }

  get perEpoch(): number {
    return Math.floor(this.#items.length / this.#batchSize);
  }

  /** `random` is only forked, never drawn from. */
  batch(number: number, random: Random): readonly T[] {
    const epoch = Math.floor(number / this.perEpoch);
    const items = this.#order === "given" ? this.#items : random.fork(`pairs of epoch ${epoch}`).shuffled(this.#items);
    const start = (number % this.perEpoch) * this.#batchSize;
    return items.slice(start, start + this.#batchSize);
  }
}
