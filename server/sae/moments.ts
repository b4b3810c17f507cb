/**
 * Mean and variation of vectors, accumulated batch by batch without loss of precision (Chan, Golub and LeVeque
 * 1979): each batch contributes its own mean and its variation about it.
 */
export class Moments {
  #count = 0;
  #mean: readonly number[] = [];
  #variation = 0;

  /** Restores the result of `state`. */
  static fromState({ count, mean, variation }: MomentsState): Moments {
    const moments = new Moments();
    moments.#count = count;
    moments.#mean = mean;
    moments.#variation = variation;
    return moments;
  }

  get state(): MomentsState {
    return { count: this.#count, mean: this.#mean, variation: this.#variation };
  }

  /** Sum of squared distances from the mean of all vectors. */
  get variation(): number {
    return this.#variation;
  }

  /** Adds `count` vectors with mean [D] and the sum `variation` of their squared distances from it. */
  add(count: number, mean: ArrayLike<number>, variation: number): void {
    if (count === 0) return;
    const total = this.#count + count;
    const own = Array.from(mean);
    const apart = own.map((value, d) => value - (this.#mean[d] ?? 0));
    const squares = apart.reduce((sum, value) => sum + value * value, 0);
    this.#variation += variation + (squares * this.#count * count) / total;
    this.#mean = apart.map((value, d) => (this.#mean[d] ?? 0) + (value * count) / total);
    this.#count = total;
  }
}

/** The complete state of some moments, as plain JSON. */
export interface MomentsState {
  readonly count: number;
  readonly mean: readonly number[];
  readonly variation: number;
}
