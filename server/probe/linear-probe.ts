import type { RatingRange } from "../rewards/word-ratings.ts";
import type { RowMatrix } from "../statistics/linear-algebra.ts";
import { type LinearModel, predictLinear } from "../statistics/linear-model.ts";
import type { Numbers } from "../statistics/sample.ts";
import { type RewardScale, rewardScale, rewardScaleKeepingZero, toRewardRange } from "./deltas.ts";
import type { LayerSpan } from "./features.ts";
import type { ProbeSettings } from "./report-types.ts";

/** Reads the implicit reward of a token from its features: `weights · z + intercept`, then `outputScale` where there is one. */
export interface LinearProbe {
  readonly layers: readonly LayerSpan[];
  /** Float32 values, so that what is tested is what is saved. */
  readonly weights: Float32Array;
  readonly intercept: number;
  /** The sizes of delta that became the ends of the ratings' range in training; null where the predictions are scaled instead. */
  readonly deltaScale: RewardScale | null;
  /** The percentiles of the test predictions that become those ends (as published); null where the deltas were scaled. */
  readonly outputScale: RewardScale | null;
}

/** What the targets of a fit are, and how its predictions come onto the reward's range. */
export interface Normaliser {
  readonly deltaScale: RewardScale | null;
  /** Deltas of the training rows as targets. */
  readonly targets: (deltas: Float64Array) => Float64Array;
  /** Predictions of a set of test rows on the reward's range, and the scale that was used. */
  readonly finish: (predicted: Float64Array) => {
    readonly values: Float64Array;
    readonly outputScale: RewardScale | null;
  };
}

/**
 * `deltas`: the paper's way; the training deltas' 10th and 90th percentile are laid on the reward's range, and predictions
 * stay as they come. `deltasKeepingZero`: the same, but a delta of 0 stays a reward of 0. `predictions`: the published code's; deltas stay as they are, and the predictions of all test rows are
 * laid on the range, clamped and rounded to two digits, which makes a row's value depend on the rows beside it.
 */
export function normaliserOf(kind: ProbeSettings["normalise"], trainDeltas: Numbers, range: RatingRange): Normaliser {
  if (kind === "predictions") {
    return { deltaScale: null, targets: (deltas) => deltas, finish: (predicted) => laidOnRange(predicted, range) };
  }
  const deltaScale = kind === "deltas" ? rewardScale(trainDeltas) : rewardScaleKeepingZero(trainDeltas, range);
  return {
    deltaScale,
    targets: (deltas) => deltas.map((delta) => toRewardRange(delta, deltaScale, range)),
    finish: (values) => ({ values, outputScale: null }),
  };
}

/** Targets and predictions in the units in which they come. */
export const unscaled: Normaliser = {
  deltaScale: null,
  targets: (values) => values,
  finish: (values) => ({ values, outputScale: null }),
};

/** Predictions laid on the range of ratings by their own percentiles, rounded to two digits. */
export function laidOnRange(
  predicted: Float64Array,
  range: RatingRange,
): { values: Float64Array; outputScale: RewardScale } {
  const outputScale = rewardScale(predicted);
  const values = predicted.map((value) => Math.round(toRewardRange(value, outputScale, range) * 100) / 100);
  return { values, outputScale };
}

/** A fitted model with the precision in which it is saved. */
export function rounded({ weights, intercept }: LinearModel): LinearModel {
  return { weights: weights.map(Math.fround), intercept: Math.fround(intercept) };
}

/** Implicit rewards of rows of features, which stand as `probe.layers` says; `range` is that of the ratings that it was fitted by. */
export function probeRewards(probe: LinearProbe, features: RowMatrix, range: RatingRange): Float64Array {
  const { weights, intercept, outputScale } = probe;
  const values = predictLinear({ weights: Float64Array.from(weights), intercept }, features);
  return outputScale === null ? values : values.map((value) => toRewardRange(value, outputScale, range));
}
