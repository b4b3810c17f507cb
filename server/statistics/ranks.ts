import { pairCounts } from "./kendall.loops.ts";
import { averageRanks } from "./ranks.loops.ts";
import { type Numbers, pairedSamples, sampleOf } from "./sample.ts";
import { studentTwoSidedP } from "./special-functions.ts";

/** Ranks from 1 in the order of `values`; equal values share their mean rank (`scipy.stats.rankdata`). */
export function ranks(values: Numbers): Float64Array {
  return averageRanks(sampleOf(values, "values"));
}

/** Spearman's rho with its two-sided p-value; NaN as the fields say. */
export interface SpearmanResult {
  /** NaN below two rows, or when all x or all y are equal. */
  readonly rho: number;
  /** From t = rho sqrt((n-2)/(1-rho²)) with n - 2 degrees of freedom; NaN below three rows. */
  readonly p: number;
  readonly n: number;
}

/** Spearman's rank correlation, equal to `scipy.stats.spearmanr`: Pearson's correlation of the average ranks. */
export function spearmanRho(x: Numbers, y: Numbers): SpearmanResult {
  const n = x.length;
  const [sampleX, sampleY] = pairedSamples(x, y, ["x", "y"]);
  const [u, v] = [doubledCentredRanks(sampleX), doubledCentredRanks(sampleY)];
  const rho = dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
  const t = rho * Math.sqrt((n - 2) / ((1 - rho) * (1 + rho)));
  return { rho, p: n > 2 ? studentTwoSidedP(t, n - 2) : Number.NaN, n };
}

/**
 * Area under the ROC curve: the probability that a row with label 1 (or true) scores above a row with label 0 (or
 * false), a tie counting half. Equal to `sklearn.metrics.roc_auc_score`. NaN when one of the classes is empty.
 */
export function auroc(scores: Numbers, labels: ArrayLike<number | boolean>): number {
  const [sample, positive] = pairedSamples(scores, Array.from(labels, Number), ["scores", "labels"]);
  const ranked = averageRanks(sample);
  const positives = positive.reduce((count, label) => count + (label > 0 ? 1 : 0), 0);
  const rankSum = ranked.reduce((sum, rank, row) => sum + ((positive[row] ?? 0) > 0 ? rank : 0), 0);
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (sample.length - positives));
}

/** How often a prediction orders two words of the same true sign correctly. */
export interface RankingAccuracy {
  /** Pairs of rows whose true values have this sign and differ. */
  readonly pairs: number;
  /** Pairs ordered as in the truth; a tied prediction counts half. */
  readonly right: number;
  /** right / pairs, 0.5 by chance; NaN without pairs. */
  readonly accuracy: number;
}

/**
 * Same-polarity ranking: among positive words and among negative words, the share of pairs with different true values that
 * `predicted` puts in the true order. Unlike tau over all words it gains nothing from knowing the sign.
 */
export function samePolarityRanking(
  predicted: Numbers,
  truth: Numbers,
): { readonly positive: RankingAccuracy; readonly negative: RankingAccuracy } {
  const [values, trueValues] = pairedSamples(predicted, truth, ["predicted", "truth"]);
  const rankingOf = (sign: number): RankingAccuracy => {
    const chosen = (_: number, row: number) => Math.sign(trueValues[row] ?? 0) === sign;
    const counts = pairCounts(values.filter(chosen), trueValues.filter(chosen));
    const pairs = counts.pairs - counts.tiedY.pairs;
    const right = counts.concordant + (counts.tiedX.pairs - counts.tiedBoth) / 2;
    return { pairs, right, accuracy: right / pairs };
  };
  return { positive: rankingOf(1), negative: rankingOf(-1) };
}

/** Twice the average rank less its mean: whole numbers, so that their sums of products are exact below about 10⁵ rows. */
function doubledCentredRanks(sample: Float64Array): Float64Array {
  return averageRanks(sample).map((rank) => 2 * rank - (sample.length + 1));
}

function dot(u: Float64Array, v: Float64Array): number {
  return u.reduce((sum, value, i) => sum + value * (v[i] ?? 0), 0);
}
