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
  const order = sortedByKey(ascendingOrder(y), x);
  const sortedX = new Float64Array(n);
  const sortedY = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    sortedX[i] = x[order[i]!]!;
    sortedY[i] = y[order[i]!]!;
  }
  const tiedX = tieSums(n, (i) => sortedX[i] === sortedX[i - 1]);
  const tiedBoth = tieSums(n, (i) => sortedX[i] === sortedX[i - 1] && sortedY[i] === sortedY[i - 1]).pairs;
  const discordant = sortCountingInversions(sortedY);
  const tiedY = tieSums(n, (i) => sortedY[i] === sortedY[i - 1]);
  const pairs = (n * (n - 1)) / 2;
  const concordant = pairs - tiedX.pairs - tiedY.pairs + tiedBoth - discordant;
  return { pairs, concordant, discordant, tiedX, tiedY, tiedBoth };
}

/**
 * Share of the n! orders of n things that have at most `most` inversions: the left tail of the Mahonian distribution.
 * One thing at a time is added: the j-th can stand in j places and adds 0 to j-1 inversions, each with chance 1/j.
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

/** Sorts `values` in place (bottom-up merge sort) and returns how many pairs stood in strictly descending order. */
function sortCountingInversions(values: Float64Array): number {
  const n = values.length;
  let inversions = 0;
  let from: Float64Array = values;
  let to: Float64Array = new Float64Array(n);
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
  if (from !== values) values.set(from);
  return inversions;
}
