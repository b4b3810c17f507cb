import { invariant } from "./errors.ts";

/** How far work has come that goes through batches one by one, and is saved in between. */
export class BatchCursor<B> {
  readonly #batches: readonly B[];
  readonly #sizeOf: (batch: B) => number;
  #done = 0;
  #doneItems = 0;

  /** `sizeOf` says how many items a batch has. */
  constructor(batches: readonly B[], sizeOf: (batch: B) => number) {
    this.#batches = batches;
    this.#sizeOf = sizeOf;
  }

  /** The batch that comes next; undefined after the last. */
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

  /** Items of these. */
  get doneItems(): number {
    return this.#doneItems;
  }

  /** The next batch is done. */
  advance(): void {
    invariant(this.#done < this.#batches.length, "a batch was done after the last one");
    this.#doneItems += this.next === undefined ? 0 : this.#sizeOf(this.next);
    this.#done += 1;
  }

  /** A number of batches that was saved. */
  restore(done: number): void {
    invariant(
      Number.isInteger(done) && done >= 0 && done <= this.#batches.length,
      `${done} of ${this.#batches.length} batches cannot be done`,
    );
    this.#done = done;
    this.#doneItems = this.#batches.slice(0, done).reduce((sum, batch) => sum + this.#sizeOf(batch), 0);
  }

  /** A result is wanted, so that every batch must be done. */
  requireAll(): void {
    invariant(this.#done === this.#batches.length, "a collection was finished before its last batch");
  }
}
