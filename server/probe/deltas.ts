/** Activation deltas, the probe's targets, and the reward's range (reference/method.md 1.9). */
import { invariant } from "../common/errors.ts";
import { percentiles } from "../statistics/percentile.ts";
import type { Numbers } from "../statistics/sample.ts";
import { rowDistances } from "./features.loops.ts";
import type { TripleFeatures } from "./features.ts";

/** The least and the greatest rating of VADER's lexicon. */
export const rewardRange = { low: -3.9, high: 3.4 } as const;

/**
 * How far each polar version's features are from the neutral version's, signed by its polarity, in the order of `polarRows`:
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

/** The two values that are laid on the ends of the reward's range. */
export interface RewardScale {
  readonly low: number;
  readonly high: number;
}

/** The 10th and the 90th percentile of some values, linearly interpolated. */
export function rewardScale(values: Numbers): RewardScale {
  invariant(values.length > 0, "a scale needs values");
  const [low = Number.NaN, high = Number.NaN] = percentiles(values, [10, 90]);
  return { low, high };
}

/**
 * The same width, moved so that 0 stays 0: a word that moves nothing is then worth nothing. Under `rewardScale` symmetric
 * deltas have their zero at the middle of the range, -0.25, which costs positive words their sign where the probe is unsure.
 */
export function rewardScaleKeepingZero(values: Numbers): RewardScale {
  const { low, high } = rewardScale(values);
  const unit = (high - low) / (rewardRange.high - rewardRange.low);
  return { low: unit * rewardRange.low, high: unit * rewardRange.high };
}

/**
 * The value on the reward's scale: `low` becomes -3.9, `high` becomes 3.4, and what is beyond is clamped. On a scale without
 * width, where all values are the same and say nothing, it is 0.
 */
export function toRewardRange(value: number, { low, high }: RewardScale): number {
  if (!(high > low)) return 0;
  const scaled = ((value - low) / (high - low)) * (rewardRange.high - rewardRange.low) + rewardRange.low;
  return Math.min(rewardRange.high, Math.max(rewardRange.low, scaled));
}
