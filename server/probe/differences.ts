/** How much better one input of the probe orders words than another, word by word. */
import type { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { kendallTau } from "../statistics/kendall.ts";
import { mean } from "../statistics/moments.ts";
import { bootstrapInterval, pick } from "../statistics/resampling.ts";
import type { PairedDifference, ProbeSettings } from "./report-types.ts";
import { orNull } from "./word-scores.ts";

/** Predictions of the same words, in one order, with the words' true values. */
export interface WordValues {
  readonly predicted: readonly number[];
  readonly truth: readonly number[];
}

/**
 * Mean over draws of tau-b(ours) - tau-b(theirs) over the same words, with its bootstrap interval over words: a
 * resample takes both predictions of a word together. Null if the two predict different words.
 */
export async function tauDifference(
  ours: readonly WordValues[],
  theirs: readonly WordValues[],
  { resamples }: Pick<ProbeSettings, "resamples">,
  { random, pacer }: { readonly random: Random; readonly pacer: Pacer },
): Promise<PairedDifference | null> {
  const pairs = ours.flatMap((own, at) => {
    const other = theirs[at];
    return other !== undefined && other.truth.length === own.truth.length ? [{ own, other }] : [];
  });
  if (pairs.length === 0 || pairs.length < ours.length) return null;
  const [{ own: first } = { own: { truth: [] } }] = pairs;
  const tauOf = ({ predicted, truth }: WordValues, rows: Int32Array): number =>
    kendallTau(pick(predicted, rows), pick(truth, rows), "asymptotic").tau;
  const difference = (rows: Int32Array): number =>
    meanOrNaN(pairs.map(({ own, other }) => tauOf(own, rows) - tauOf(other, rows)));
  const words = Array.from(first.truth.keys());
  const interval = await bootstrapInterval(words, difference, { random, resamples, pacer });
  return {
    difference: orNull(interval.estimate),
    interval: {
      low: orNull(interval.low),
      high: orNull(interval.high),
      confidence: interval.confidence,
      resamples,
      undefinedResamples: interval.undefinedResamples,
    },
    foldDraws: pairs.length,
  };
}

function meanOrNaN(values: readonly number[]): number {
  return values.some(Number.isNaN) ? Number.NaN : mean(values);
}
