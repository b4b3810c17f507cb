import { invariant } from "../common/errors.ts";
import { shiftedProduct } from "./linear-algebra.loops.ts";
import type { RowMatrix } from "./linear-algebra.ts";

/** y = x · weights + intercept, for x of `weights.length` numbers. */
export interface LinearModel {
  readonly weights: Float64Array;
  readonly intercept: number;
}

/** The model's value for every row of features. */
export function predictLinear({ weights, intercept }: LinearModel, features: RowMatrix): Float64Array {
  invariant(
    features.columns === weights.length,
    `a model of ${weights.length} weights got rows of ${features.columns} features`,
  );
  return shiftedProduct(features.data, new Float64Array(weights.length), weights).map((value) => value + intercept);
}
