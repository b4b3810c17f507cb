import type { RatingRange } from "../rewards/word-ratings.ts";
import type { RowMatrix } from "../statistics/linear-algebra.ts";
import { type LinearModel, predictLinear } from "../statistics/linear-model.ts";
import type { Numbers } from "../statistics/sample.ts";
import { type RewardScale, rewardScale, rewardScaleKeepingZero, toRewardRange } from "./deltas.ts";
import type { LayerSpan } from "./features.ts";
import type { ProbeSettings } from "./report-types.ts";

/** A linear probe: a token's implicit reward is `weights · z + intercept`, rescaled by `outputScale` if it has one. */
export interface LinearProbe {
  readonly layers: readonly LayerSpan[];
  /** Float32 values, so that the tested probe is exactly the saved one. */
  readonly weights: Float32Array;
  readonly intercept: number;
  /**
   * The deltas that training rescaled to the ends of the ratings' range; null if the predictions are rescaled
   * instead.
   */
  readonly deltaScale: RewardScale | null;
  /**
   * The percentiles of the test predictions that become those ends (as published); null if the deltas were rescaled.
   */
  readonly outputScale: RewardScale | null;
}

/** How deltas become the targets of a fit, and how its predictions are rescaled to the reward's range. */
export interface Normaliser {
  readonly deltaScale: RewardScale | null;
  /** Deltas of the training rows as targets. */
  readonly targets: (deltas: Float64Array) => Float64Array;
  /** Rescales the predictions of a set of test rows to the reward's range; also returns the scale. */
  readonly finish: (predicted: Float64Array) => {
    readonly values: Float64Array;
    readonly outputScale: RewardScale | null;
  };
}

/**
 * The normaliser of a setting:
 *
 * - `deltas` (the paper): the training deltas' 10th and 90th percentile are rescaled to the reward's range;
 *   predictions stay as they are.
 * - `deltasKeepingZero`: the same, but a delta of 0 stays a reward of 0.
 * - `predictions` (the published code): deltas stay as they are; the predictions of all test rows are rescaled to
 *   the range, clamped and rounded to two digits, so a row's value depends on the other rows.
 */
export function normaliserOf(kind: ProbeSettings["normalise"], trainDeltas: Numbers, range: RatingRange): Normaliser {
  if (kind === "predictions") {
    return { deltaScale: null, targets: (deltas) => deltas, finish: (predicted) => rescaledToRange(predicted, range) };
  }
  const deltaScale = kind === "deltas" ? rewardScale(trainDeltas) : rewardScaleKeepingZero(trainDeltas, range);
  return {
    deltaScale,
    targets: (deltas) => deltas.map((delta) => toRewardRange(delta, deltaScale, range)),
    finish: (values) => ({ values, outputScale: null }),
  };
}

/** Keeps targets and predictions in their own units. */
export const unscaled: Normaliser = {
  deltaScale: null,
  targets: (values) => values,
  finish: (values) => ({ values, outputScale: null }),
};

/** Rescales predictions to the range of ratings by their own percentiles, rounded to two digits. */
export function rescaledToRange(
  predicted: Float64Array,
  range: RatingRange,
): { values: Float64Array; outputScale: RewardScale } {
  const outputScale = rewardScale(predicted);
  const values = predicted.map((value) => Math.round(toRewardRange(value, outputScale, range) * 100) / 100);
  return { values, outputScale };
}

/** A fitted model, rounded to the precision in which it is saved. */
export function rounded({ weights, intercept }: LinearModel): LinearModel {
  return { weights: weights.map(Math.fround), intercept: Math.fround(intercept) };
}

/**
 * Implicit rewards of rows of features, whose columns are those of `probe.layers`; `range` is that of the ratings in
 * training.
 */
export function probeRewards(probe: LinearProbe, features: RowMatrix, range: RatingRange): Float64Array {
  const { weights, intercept, outputScale } = probe;
  const values = predictLinear({ weights: Float64Array.from(weights), intercept }, features);
  return outputScale === null ? values : values.map((value) => toRewardRange(value, outputScale, range));
}
