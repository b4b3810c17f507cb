import { invariant } from "../common/errors.ts";
import { Random, type RandomState } from "../common/random.ts";

export interface EpochOptions {
  /** At most as many as there are items. */
  readonly batchSize: number;
  readonly seed: RandomState;
  /** Names the items' stream of randomness. */
  readonly name: string;
  /** Each epoch in an order of its own, or as the items are given. */
  readonly order?: "shuffled" | "given";
}

/**
 * An endless sequence of batches: every epoch takes all items, shuffled anew or in the given order, and drops the
 * remainder that does not fill a batch. Batch number k is a function of the seed and k, so k is the only state to
 * save.
 */
export class EpochBatches<T> {
  readonly #items: readonly T[];
  readonly #options: EpochOptions;
  #epoch = -1;
  #order: readonly T[] = [];

  constructor(items: readonly T[], options: EpochOptions) {
    invariant(items.length >= options.batchSize, `${items.length} ${options.name} for batches of ${options.batchSize}`);
    this.#items = items;
    this.#options = options;
  }

  /** The same items in the order of another seed. */
  withSeed(seed: RandomState): EpochBatches<T> {
    return new EpochBatches(this.#items, { ...this.#options, seed });
  }

  get perEpoch(): number {
    return Math.floor(this.#items.length / this.#options.batchSize);
  }

  batch(number: number): readonly T[] {
    const { batchSize, seed, name, order = "shuffled" } = this.#options;
    const epoch = Math.floor(number / this.perEpoch);
    if (epoch !== this.#epoch) {
      const shuffled = (): T[] => Random.fromState(seed).fork(`${name} of epoch ${epoch}`).shuffled(this.#items);
      this.#order = order === "given" ? this.#items : shuffled();
      this.#epoch = epoch;
    }
    const start = (number % this.perEpoch) * batchSize;
    const batch = this.#order.slice(start, start + batchSize);
    invariant(batch.length === batchSize, `batch ${number} of an epoch of ${this.perEpoch} is short`);
    return batch;
  }
}
