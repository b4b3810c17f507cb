/**
 * How a text is written where some of its UTF-16 units take more than one unit to write, such as JSON's `\n`. Holds only those units, so it is
 * small where they are few.
 */
export class OffsetMap {
  /** The units that are written longer, ascending. */
  readonly #units: Int32Array;
  /** How many units the text as written is ahead behind each of them. */
  readonly #ahead: Int32Array;

  constructor(units: Int32Array, ahead: Int32Array) {
    this.#units = units;
    this.#ahead = ahead;
  }

  /** Where unit `unit` of the text begins as written; for the text's length, where the text ends. */
  written(unit: number): number {
    return unit + this.#aheadAfter(this.#countWhere((index) => (this.#units[index] ?? 0) < unit));
  }

  /** The unit of the text that the written unit at `offset` is part of. */
  unitAt(offset: number): number {
    const begun = this.#countWhere((index) => (this.#units[index] ?? 0) + this.#aheadAfter(index) <= offset);
    if (begun === 0) return offset;
    return Math.max(this.#units[begun - 1] ?? 0, offset - this.#aheadAfter(begun));
  }

  /** Ahead behind the first `count` longer units. */
  #aheadAfter(count: number): number {
    return count === 0 ? 0 : (this.#ahead[count - 1] ?? 0);
  }

  /** How many of the longer units meet a condition that the first ones do and the rest do not. */
  #countWhere(holds: (index: number) => boolean): number {
    let [low, high] = [0, this.#units.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A map from the longer units as they are met: `add(at, length)` for a unit written at `at` that takes `length` units. */
export class OffsetMapBuilder {
  readonly #units: number[] = [];
  readonly #ahead: number[] = [];
  #total = 0;

  add(at: number, length: number): void {
    this.#units.push(at - this.#total);
    this.#total += length - 1;
    this.#ahead.push(this.#total);
  }

  /** Undefined where every unit is written as itself. */
  finish(): OffsetMap | undefined {
    return this.#units.length === 0
      ? undefined
      : new OffsetMap(Int32Array.from(this.#units), Int32Array.from(this.#ahead));
  }
}
