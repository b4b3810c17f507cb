import { invariant, LfpError } from "../common/errors.ts";
import { inversionTail, OrderedBalance, type PairCounts, pairCounts } from "./kendall.loops.ts";
import { ascendingOrder } from "./ranks.loops.ts";
import { type Numbers, pairedSamples } from "./sample.ts";
import { normalTwoSidedP } from "./special-functions.ts";

/** Kendall's tau-b with its two-sided p-value. Both are NaN where tau is undefined: fewer than two rows, or all x or all y equal. */
export interface KendallResult {
  readonly tau: number;
  readonly p: number;
  readonly n: number;
  /** How p was computed. */
  readonly method: "exact" | "asymptotic";
}

/** An exact p-value was requested for data with ties. */
export class TiedRanksError extends LfpError {
  readonly code = "usage";
}

/**
 * Kendall's tau-b between `x` and `y` (length n each), equal to `scipy.stats.kendalltau`, in O(n log n).
 *
 *     tau_b = (C - D) / sqrt((n0 - ties in x)(n0 - ties in y)),   n0 = n(n-1)/2
 *
 * `auto` is scipy's rule: exact when nothing is tied and either n <= 33 or at most one pair is out of place (or in place),
 * else asymptotic. Throws `NotANumberError` on NaN and `TiedRanksError` when `exact` meets ties.
 */
export function kendallTau(x: Numbers, y: Numbers, method: "auto" | "exact" | "asymptotic" = "auto"): KendallResult {
  const n = x.length;
  const counts = pairCounts(...pairedSamples(x, y, ["x", "y"]));
  const { pairs, tiedX, tiedY, discordant } = counts;
  const untied = tiedX.pairs === 0 && tiedY.pairs === 0;
  if (method === "exact" && !untied)
    throw new TiedRanksError(
      `an exact p-value needs values without ties, and ${tiedX.pairs} pairs are tied in x, ${tiedY.pairs} in y; use "asymptotic"`,
    );
  const few = n <= 33 || Math.min(discordant, pairs - discordant) <= 1;
  const exact = method === "exact" || (method === "auto" && untied && few);
  const defined = tiedX.pairs < pairs && tiedY.pairs < pairs;
  const p = exact ? exactP(n, discordant) : asymptoticP(n, counts);
  return { tau: tauB(counts), p: defined ? p : Number.NaN, n, method: exact ? "exact" : "asymptotic" };
}

/**
 * Tau-b of x with y in any order: `tauOf(order)` is `kendallTau(x, y taken in this order).tau`, at a tenth of its cost. For permutation tests. Throws
 * `NotANumberError` on NaN.
 */
export function orderedTau(x: Numbers, y: Numbers): (order: Int32Array) => number {
  const [sampleX, sampleY] = pairedSamples(x, y, ["x", "y"]);
  const { pairs, tiedX, tiedY } = pairCounts(sampleX, sampleY);
  if (tiedX.pairs === pairs || tiedY.pairs === pairs) return () => Number.NaN;
  const balance = new OrderedBalance(sampleX, sampleY);
  const [rootX, rootY] = [Math.sqrt(pairs - tiedX.pairs), Math.sqrt(pairs - tiedY.pairs)];
  return (order) => Math.min(1, Math.max(-1, balance.of(order) / rootX / rootY));
}

/**
 * The statistic that the paper's published notebooks report as Kendall's tau: the words sorted by `truth`, the same words
 * sorted by `predicted`, and tau of the two lists of *strings*, that is of the words' alphabetical places position by
 * position. It is 1 only when both orders are equal and says next to nothing otherwise; it is here to stand beside the
 * published numbers (train_linear_probe.ipynb, cells 61-62). Equal values keep the order in which they are given.
 * Words compare by code point, as numpy strings do.
 */
export function stringTau(words: readonly string[], truth: Numbers, predicted: Numbers): KendallResult {
  const [trueValues, predictedValues] = pairedSamples(truth, predicted, ["truth", "predicted"]);
  invariant(words.length === trueValues.length, `${words.length} words and ${trueValues.length} values must pair up`);
  const places = alphabeticalPlaces(words);
  const listed = (values: Float64Array) => Array.from(ascendingOrder(values), (row) => places[row] ?? Number.NaN);
  return kendallTau(listed(trueValues), listed(predictedValues));
}

/** Tau of the predictions' signs alone. */
export interface SignOnlyTau extends KendallResult {
  /**
   * The tau-b that `predicted` would have on average if its values were shuffled among the words of equal predicted
   * sign. The excess of the real tau-b over this is order within a polarity. NaN where tau is undefined.
   */
  readonly shuffledTau: number;
}

/**
 * Control for tau: tau-b (with p) of sign(predicted) against `truth`, and the mean tau-b of predictions that keep their
 * signs and nothing else. Pairs of unequal sign keep their direction under such a shuffle and pairs of equal sign cancel on
 * average, so that mean is (C - D of the signs) over the denominator of the full tau-b.
 */
export function signOnlyTau(predicted: Numbers, truth: Numbers): SignOnlyTau {
  const [values, trueValues] = pairedSamples(predicted, truth, ["predicted", "truth"]);
  const signs = values.map(Math.sign);
  const fromSigns = pairCounts(signs, trueValues);
  const full = pairCounts(values, trueValues);
  const shuffledTau = tauB({ ...full, concordant: fromSigns.concordant, discordant: fromSigns.discordant });
  return { ...kendallTau(signs, trueValues), shuffledTau };
}

function tauB({ pairs, tiedX, tiedY, concordant, discordant }: PairCounts): number {
  if (tiedX.pairs === pairs || tiedY.pairs === pairs) return Number.NaN;
  const tau = (concordant - discordant) / Math.sqrt(pairs - tiedX.pairs) / Math.sqrt(pairs - tiedY.pairs);
  return Math.min(1, Math.max(-1, tau));
}

/** Twice the chance of so few inversions (or so many) in a random order; without ties (Kendall, Rank Correlation Methods, 1970). */
function exactP(n: number, discordant: number): number {
  const pairs = (n * (n - 1)) / 2;
  const extreme = Math.min(discordant, pairs - discordant);
  return n <= 2 || 2 * extreme === pairs ? 1 : Math.min(1, 2 * inversionTail(n, extreme));
}

/** Normal approximation of C - D with the variance under ties (Kendall 1970; the triple term vanishes below three rows). */
function asymptoticP(n: number, { concordant, discordant, tiedX, tiedY }: PairCounts): number {
  const m = n * (n - 1);
  const triples = n > 2 ? (tiedX.cubic * tiedY.cubic) / (9 * m * (n - 2)) : 0;
  const variance =
    (m * (2 * n + 5) - tiedX.variance - tiedY.variance) / 18 + (2 * tiedX.pairs * tiedY.pairs) / m + triples;
  return normalTwoSidedP((concordant - discordant) / Math.sqrt(variance));
}

/** For each word its index in the alphabetical order of the distinct words. */
function alphabeticalPlaces(words: readonly string[]): number[] {
  const sorted = [...new Set(words)].sort(compareCodePoints);
  const places = new Map(sorted.map((word, place) => [word, place]));
  return words.map((word) => places.get(word) ?? Number.NaN);
}

/** JavaScript's own `<` compares UTF-16 units, which puts an emoji before a full-width letter. */
function compareCodePoints(a: string, b: string): number {
  const right = b[Symbol.iterator]();
  for (const char of a) {
    const other = right.next();
    if (other.done) return 1;
    const difference = (char.codePointAt(0) ?? 0) - (other.value.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return right.next().done ? 0 : -1;
}
