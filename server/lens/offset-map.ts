/**
 * Maps offsets of a text to its written form, in which some UTF-16 units are longer, such as JSON's `\n`. Stores
 * only those units, so it is small where they are few.
 */
export class OffsetMap {
  /** The units with a longer written form, ascending. */
  readonly #units: Int32Array;
  /** Difference between written offset and text offset after each of them. */
  readonly #ahead: Int32Array;
  /** Of each of them, how much of its written form is no part of it: what is left out after it. */
  readonly #trailing: Int32Array;

  constructor(units: Int32Array, ahead: Int32Array, trailing: Int32Array) {
    this.#units = units;
    this.#ahead = ahead;
    this.#trailing = trailing;
  }

  /** Written offset of unit `unit` of the text; for the text's length, the written end. */
  written(unit: number): number {
    return unit + this.#aheadAfter(this.#countWhere((index) => (this.#units[index] ?? 0) < unit));
  }

  /** Written end of the first `length` units of the text, without what is left out after them. */
  writtenEnd(length: number): number {
    const before = this.#countWhere((index) => (this.#units[index] ?? 0) < length);
    const isLonger = before > 0 && this.#units[before - 1] === length - 1;
    return this.written(length) - (isLonger ? (this.#trailing[before - 1] ?? 0) : 0);
  }

  /** The unit of the text whose written form contains `offset`. */
  unitAt(offset: number): number {
    const begun = this.#countWhere((index) => (this.#units[index] ?? 0) + this.#aheadAfter(index) <= offset);
    if (begun === 0) return offset;
    return Math.max(this.#units[begun - 1] ?? 0, offset - this.#aheadAfter(begun));
  }

  /** Offset difference after the first `count` longer units. */
  #aheadAfter(count: number): number {
    return count === 0 ? 0 : (this.#ahead[count - 1] ?? 0);
  }

  /** Number of longer units with a property that holds for the first ones and not for the rest (binary search). */
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

/**
 * Builds a map from the longer units in order: `add(at, length)` for a unit at written offset `at` that takes
 * `length` units.
 */
export class OffsetMapBuilder {
  readonly #units: number[] = [];
  readonly #ahead: number[] = [];
  readonly #trailing: number[] = [];
  #total = 0;

  add(at: number, length: number): void {
    this.#units.push(at - this.#total);
    this.#total += length - 1;
    this.#ahead.push(this.#total);
    this.#trailing.push(0);
  }

  /** Leaves `length` units out at written offset `at`, which follows a unit of the text. */
  skip(at: number, length: number): void {
    const unit = at - this.#total - 1;
    const last = this.#units.length - 1;
    this.#total += length;
    if (this.#units[last] === unit) {
      this.#ahead[last] = this.#total;
      this.#trailing[last] = (this.#trailing[last] ?? 0) + length;
      return;
    }
    this.#units.push(unit);
    this.#ahead.push(this.#total);
    this.#trailing.push(length);
  }

  /** Undefined if every unit is written as itself. */
  finish(): OffsetMap | undefined {
    return this.#units.length === 0
      ? undefined
      : new OffsetMap(Int32Array.from(this.#units), Int32Array.from(this.#ahead), Int32Array.from(this.#trailing));
  }
}
