/** Activation deltas, the probe's targets, and their rescaling to the range of ratings (reference/method.md 1.9). */
import { invariant } from "../common/errors.ts";
import type { RatingRange } from "../rewards/word-ratings.ts";
import { percentiles } from "../statistics/percentile.ts";
import type { Numbers } from "../statistics/sample.ts";
import { rowDistances } from "./features.loops.ts";
import type { TripleFeatures } from "./features.ts";

/**
 * Distance of each polar version's features from the neutral version's, signed by its polarity, in the order of
 * `polarRows`:
 *
 *     Δ⁺ = ‖z⁺ - z⁰‖₂,   Δ⁻ = -‖z⁻ - z⁰‖₂
 */
export function activationDeltas({ triples: n, rows: { data, columns } }: TripleFeatures): Float64Array {
  const part = (index: number) => data.subarray(index * n * columns, (index + 1) * n * columns);
  const [positive, negative, neutral] = [part(0), part(1), part(2)];
  const deltas = new Float64Array(2 * n);
  deltas.set(rowDistances(positive, neutral, n, columns));
  deltas.set(
    rowDistances(negative, neutral, n, columns).map((distance) => -distance),
    n,
  );
  return deltas;
}

/** The two values that are rescaled to the ends of the range of ratings. */
export interface RewardScale {
  readonly low: number;
  readonly high: number;
}

/** The 10th and the 90th percentile of the values, linearly interpolated. */
export function rewardScale(values: Numbers): RewardScale {
  invariant(values.length > 0, "a scale needs values");
  const [low = Number.NaN, high = Number.NaN] = percentiles(values, [10, 90]);
  return { low, high };
}

/**
 * A scale as wide as `rewardScale`'s, shifted so that 0 stays 0: a word that changes no feature is then worth
 * nothing. Under `rewardScale`, symmetric deltas have their zero at the middle of the range (VADER's: -0.25), which
 * costs positive words their sign where the probe is unsure.
 */
export function rewardScaleKeepingZero(values: Numbers, range: RatingRange): RewardScale {
  const { low, high } = rewardScale(values);
  const unit = (high - low) / (range.high - range.low);
  return { low: unit * range.low, high: unit * range.high };
}

/**
 * Rescales a value linearly from the first scale to `range`, clamping what lies beyond. A scale without width, where
 * all values are equal and carry no information, gives 0.
 */
export function toRewardRange(value: number, { low, high }: RewardScale, range: RatingRange): number {
  if (!(high > low)) return 0;
  const scaled = ((value - low) / (high - low)) * (range.high - range.low) + range.low;
  return Math.min(range.high, Math.max(range.low, scaled));
}
