import { invariant } from "../common/errors.ts";
import { meansOf, type RowMatrix, rowMatrix } from "./linear-algebra.ts";
import type { LinearModel } from "./linear-model.ts";
import { columnSquares, scaleRows } from "./standardise.loops.ts";

/** Mean and scale of every column, as `sklearn.preprocessing.StandardScaler` finds them. */
export interface Standardiser {
  readonly means: Float64Array;
  /** Population standard deviations; 1 for a constant column. */
  readonly scales: Float64Array;
}

/** Throws `NonFiniteFeaturesError`. */
export function standardiserOf(features: RowMatrix): Standardiser {
  const { data, rows, columns } = features;
  const means = meansOf(features);
  const variances = columnSquares(data, columns, means).map((sum) => sum / rows);
  const scales = variances.map((variance, column) => {
    // Rounding of the mean alone gives a constant column this much (scikit-learn's `_is_constant_feature`).
    const bound = rows * Number.EPSILON * variance + (rows * (means[column] ?? 0) * Number.EPSILON) ** 2;
    return variance <= bound ? 1 : Math.sqrt(variance);
  });
  return { means, scales };
}

/** (x - mean) / scale, row by row, as doubles. */
export function standardised({ means, scales }: Standardiser, { data, rows, columns }: RowMatrix): RowMatrix {
  invariant(columns === means.length, `${means.length} means are not of rows of ${columns} features`);
  return rowMatrix(scaleRows(data, means, scales), rows, columns);
}

/** The same function of features that are not standardised: w / scale, and b - mean · w / scale. */
export function unstandardised({ means, scales }: Standardiser, { weights, intercept }: LinearModel): LinearModel {
  const own = weights.map((weight, column) => weight / (scales[column] ?? 1));
  return {
    weights: own,
    intercept: own.reduce((rest, weight, column) => rest - weight * (means[column] ?? 0), intercept),
  };
}
