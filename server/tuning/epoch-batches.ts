import type { Random } from "../common/random.ts";
import { TooFewPairsError } from "./dpo-errors.ts";

/**
 * Batches without end: every epoch goes through all items, in an order of its own or as they are given, and drops what does not fill a batch. Batch
 * number k is a function of the seed and k, so there is nothing to save but k.
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

  /** `random` is forked, never moved. */
  batch(number: number, random: Random): readonly T[] {
    const epoch = Math.floor(number / this.perEpoch);
    const items = this.#order === "given" ? this.#items : random.fork(`pairs of epoch ${epoch}`).shuffled(this.#items);
    const start = (number % this.perEpoch) * this.#batchSize;
    return items.slice(start, start + this.#batchSize);
  }
}
