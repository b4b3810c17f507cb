import { invariant } from "./errors.ts";

/** The position of work that goes through batches one by one and can be saved in between. */
export class BatchCursor<B> {
  readonly #batches: readonly B[];
  readonly #sizeOf: (batch: B) => number;
  #done = 0;
  #doneItems = 0;

  /** `sizeOf` returns a batch's number of items. */
  constructor(batches: readonly B[], sizeOf: (batch: B) => number) {
    this.#batches = batches;
    this.#sizeOf = sizeOf;
  }

  /** The next batch; undefined after the last. */
  get next(): B | undefined {
    return this.#batches[this.#done];
  }

  get batches(): number {
    return this.#batches.length;
  }

  /** Batches done so far. */
  get done(): number {
    return this.#done;
  }

  /** Items in these batches. */
  get doneItems(): number {
    return this.#doneItems;
  }

  /** Marks the next batch as done. */
  advance(): void {
    invariant(this.#done < this.#batches.length, "a batch was done after the last one");
    this.#doneItems += this.next === undefined ? 0 : this.#sizeOf(this.next);
    this.#done += 1;
  }

  /** Restores a saved number of batches. */
  restore(done: number): void {
    invariant(
      Number.isInteger(done) && done >= 0 && done <= this.#batches.length,
      `${done} of ${this.#batches.length} batches cannot be done`,
    );
    this.#done = done;
    this.#doneItems = this.#batches.slice(0, done).reduce((sum, batch) => sum + this.#sizeOf(batch), 0);
  }

  /** Throws unless every batch is done, before a result is computed. */
  requireAll(): void {
    invariant(this.#done === this.#batches.length, "a collection was finished before its last batch");
  }
}
