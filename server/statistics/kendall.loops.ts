import { ascendingOrder, sortedByKey } from "./ranks.loops.ts";

/** Counts over the n(n-1)/2 pairs of rows of a paired sample (x, y). */
export interface PairCounts {
  readonly pairs: number;
  /** Pairs that x and y order the same way, and the opposite way. */
  readonly concordant: number;
  readonly discordant: number;
  readonly tiedX: TieSums;
  readonly tiedY: TieSums;
  /** Pairs equal in x and in y. */
  readonly tiedBoth: number;
}

/** Sums over the groups of t equal values. */
export interface TieSums {
  /** Sum of t(t-1)/2. */
  readonly pairs: number;
  /** Sum of t(t-1)(t-2). */
  readonly cubic: number;
  /** Sum of t(t-1)(2t+5). */
  readonly variance: number;
}

/** Counts pairs in O(n log n): sorts by x, then counts the inversions of y with a merge sort (Knight 1966, doi:10.2307/2282833). */
export function pairCounts(x: Float64Array, y: Float64Array): PairCounts {
  const n = x.length;
  const byY = ascendingOrder(y);
  const tiedY = tieSums(n, (i) => y[byY[i]!] === y[byY[i - 1]!]);
  const yRanks = denseRanks(y);
  const order = sortedByKey(byY, x);
  const values = new Int32Array(n);
  for (let i = 0; i < n; i++) values[i] = yRanks[order[i]!]!;
  const sameX = (i: number): boolean => x[order[i]!] === x[order[i - 1]!];
  const tiedX = tieSums(n, sameX);
  const tiedBoth = tieSums(n, (i) => sameX(i) && values[i] === values[i - 1]).pairs;
  const discordant = countInversions(values, new Int32Array(n));
  const pairs = (n * (n - 1)) / 2;
  const concordant = pairs - tiedX.pairs - tiedY.pairs + tiedBoth - discordant;
  return { pairs, concordant, discordant, tiedX, tiedY, tiedBoth };
}

/**
 * Share of the n! orders of n items that have at most `most` inversions: the left tail of the Mahonian distribution.
 * Adds one item at a time: the j-th has j possible places and adds 0 to j-1 inversions, each with probability 1/j.
 */
export function inversionTail(n: number, most: number): number {
  const share = new Float64Array(most + 1);
  share[0] = 1;
  for (let j = 2; j <= n; j++) {
    for (let k = 1; k <= most; k++) share[k]! += share[k - 1]!;
    for (let k = most; k >= j; k--) share[k]! -= share[k - j]!;
    for (let k = 0; k <= most; k++) share[k]! /= j;
  }
  let tail = 0;
  for (let k = 0; k <= most; k++) tail += share[k]!;
  return tail;
}

function tieSums(n: number, equalsPrevious: (i: number) => boolean): TieSums {
  let pairs = 0;
  let cubic = 0;
  let variance = 0;
  for (let start = 0, end = 0; start < n; start = end) {
    end = start + 1;
    while (end < n && equalsPrevious(end)) end++;
    const t = end - start;
    pairs += (t * (t - 1)) / 2;
    cubic += t * (t - 1) * (t - 2);
    variance += t * (t - 1) * (2 * t + 5);
  }
  return { pairs, cubic, variance };
}

/** Dense whole-number ranks from 0: equal values share one. */
export function denseRanks(values: Float64Array): Int32Array {
  const order = ascendingOrder(values);
  const ranks = new Int32Array(values.length);
  for (let i = 1; i < order.length; i++)
    ranks[order[i]!] = ranks[order[i - 1]!]! + (values[order[i]!] === values[order[i - 1]!] ? 0 : 1);
  return ranks;
}

/**
 * Concordant minus discordant pairs of x with y in many orders. `byX` are rows in ascending order of x, `xRanks` and
 * `yRanks` dense ranks. The constructor computes everything that does not depend on the order, and `of` allocates no
 * memory.
 */
export class OrderedBalance {
  readonly #byX: Uint32Array;
  readonly #xRanks: Int32Array;
  readonly #yRanks: Int32Array;
  readonly #untied: number;
  readonly #values: Int32Array;
  readonly #other: Int32Array;

  constructor(x: Float64Array, y: Float64Array) {
    const { pairs, tiedX, tiedY } = pairCounts(x, y);
    this.#byX = ascendingOrder(x);
    this.#xRanks = denseRanks(x);
    this.#yRanks = denseRanks(y);
    this.#untied = pairs - tiedX.pairs - tiedY.pairs;
    this.#values = new Int32Array(x.length);
    this.#other = new Int32Array(x.length);
  }

  /** Row i of x beside row order[i] of y. */
  of(order: Int32Array): number {
    const values = this.#values;
    const n = values.length;
    for (let i = 0; i < n; i++) values[i] = this.#yRanks[order[this.#byX[i]!]!]!;
    let tiedBoth = 0;
    for (let start = 0, end = 0; start < n; start = end) {
      const rank = this.#xRanks[this.#byX[start]!];
      end = start + 1;
      while (end < n && this.#xRanks[this.#byX[end]!] === rank) end++;
      if (end - start > 1) tiedBoth += sortCountingTies(values, start, end);
    }
    return this.#untied + tiedBoth - 2 * countInversions(values, this.#other);
  }
}

/** Sorts a range by insertion and returns how many of its pairs are equal. */
function sortCountingTies(values: Int32Array, start: number, end: number): number {
  let ties = 0;
  for (let i = start + 1; i < end; i++) {
    const value = values[i]!;
    let at = i;
    while (at > start && values[at - 1]! > value) {
      values[at] = values[at - 1]!;
      at--;
    }
    values[at] = value;
    for (let k = at - 1; k >= start && values[k] === value; k--) ties++;
  }
  return ties;
}

/** Counts pairs in strictly descending order, by a bottom-up merge sort; overwrites both arrays. */
function countInversions(values: Int32Array, other: Int32Array): number {
  const n = values.length;
  let inversions = 0;
  let from = values;
  let to = other;
  for (let width = 1; width < n; width *= 2) {
    for (let start = 0; start < n; start += 2 * width) {
      const middle = Math.min(start + width, n);
      const end = Math.min(start + 2 * width, n);
      let left = start;
      let right = middle;
      for (let k = start; k < end; k++) {
        if (left < middle && (right >= end || from[left]! <= from[right]!)) to[k] = from[left++]!;
        else {
          inversions += middle - left;
          to[k] = from[right++]!;
        }
      }
    }
    [from, to] = [to, from];
  }
  return inversions;
}
