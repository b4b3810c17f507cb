import { invariant } from "../common/errors.ts";
import { Pacer } from "../common/pacer.ts";
import {
  addScaled,
  dot,
  shiftedProduct,
  shiftedProducts,
  shiftedTransposeProduct,
  transposeProduct,
} from "./linear-algebra.loops.ts";
import { factor, meansOf, ROWS_AT_ONCE, type RowMatrix, rowProducts, scatter } from "./linear-algebra.ts";
import type { LinearModel } from "./linear-model.ts";
import { mean } from "./moments.ts";
import { type Numbers, sampleOf } from "./sample.ts";

/**
 * Ridge regression of `targets` (n) on `features` (n rows of d), equal to `sklearn.linear_model.Ridge(alpha)`:
 *
 *     minimise ‖y - Xw - b‖² + alpha ‖w‖²,   the intercept b not penalised, features not standardised
 *
 * With X and y centred: w = (XᵀX + alpha I)⁻¹ Xᵀy when n >= d, else the dual w = Xᵀ(XXᵀ + alpha I)⁻¹ y; Cholesky in float64
 * with one step of iterative refinement; b = mean(y) - mean(x) · w. Costs n d min(n, d) (less for sparse features).
 * Throws `NonFiniteFeaturesError`, `NotANumberError`, and `NotPositiveDefiniteError` when alpha is too small for
 * dependent features.
 */
export async function fitRidge(features: RowMatrix, targets: Numbers, alpha = 1): Promise<LinearModel> {
  return (await ridgeOf(features, alpha))(targets);
}

/** Ridge regressions of one set of features, as a function of the targets. */
export type RidgeFit = (targets: Numbers) => LinearModel;

/**
 * `fitRidge` for many targets of the same features, which it factors once: every further fit costs only n d. Throws
 * the reason of the pacer's signal too.
 */
export async function ridgeOf(features: RowMatrix, alpha = 1, pacer: Pacer = new Pacer()): Promise<RidgeFit> {
  const { data, rows, columns } = features;
  invariant(alpha >= 0 && Number.isFinite(alpha), `alpha must be a number >= 0, got ${alpha}`);
  const means = meansOf(features);
  const isPrimal = rows >= columns;
  const products = isPrimal ? scatter(features, means, pacer) : rowProducts(features, means, pacer);
  const solve = await factor(await products, alpha, pacer);
  return (targets) => {
    invariant(targets.length === rows, `${rows} rows of features got ${targets.length} targets`);
    const targetMean = mean(targets);
    const centred = sampleOf(targets, "targets").map((target) => target - targetMean);
    const problem = { data, means, centred, alpha };
    const weights = isPrimal ? primalWeights(problem, solve) : dualWeights(problem, solve);
    return { weights, intercept: targetMean - dot(means, weights) };
  };
}

/**
 * Predictions of ridge regressions of one set of features at some rows, as a function of the targets: linear, and
 * cheap once it is made.
 */
export type RidgeSmoother = (targets: Numbers) => Float64Array;

/**
 * For fits with very many targets of which only the predictions at `tests` (k rows of d) matter:
 *
 *     ŷ = mean(y) + P y,   P = (T - m) (XᵀX + alpha I)⁻¹ Xᵀ,   X the features less their means m
 *
 * Every further fit costs n k. The predictions are those of `fitRidge` up to rounding. Throws as `ridgeOf` does.
 */
export async function ridgeSmoother(
  features: RowMatrix,
  tests: RowMatrix,
  alpha = 1,
  pacer: Pacer = new Pacer(),
): Promise<RidgeSmoother> {
  const { data, rows, columns } = features;
  invariant(tests.columns === columns, `rows of ${tests.columns} features cannot be predicted from ${columns}`);
  const means = meansOf(features);
  const isPrimal = rows >= columns;
  const products = isPrimal ? scatter(features, means, pacer) : rowProducts(features, means, pacer);
  const solve = await factor(await products, alpha, pacer);
  const k = tests.rows;
  // Primal: (T - m) (XᵀX + alpha I)⁻¹, times Xᵀ. Dual: (T - m) Xᵀ, times (XXᵀ + alpha I)⁻¹. Either way a column a test row.
  const sides = new Float64Array(columns * k);
  for (let test = 0; test < k; test++) {
    await pacer.pause();
    const centred = means.map((mean, j) => (tests.data[test * columns + j] ?? Number.NaN) - mean);
    setColumn(sides, k, test, isPrimal ? solve(centred) : centred);
  }
  const smoothing = new Float64Array(rows * k);
  for (let row = 0; row < rows; row += ROWS_AT_ONCE) {
    await pacer.pause();
    const some = data.subarray(row * columns, (row + ROWS_AT_ONCE) * columns);
    smoothing.set(shiftedProducts(some, means, sides), row * k);
  }
  for (let test = 0; test < (isPrimal ? 0 : k); test++) {
    await pacer.pause();
    setColumn(smoothing, k, test, solve(columnOf(smoothing, k, test, rows)));
  }
  return (targets) => {
    invariant(targets.length === rows, `${rows} rows of features got ${targets.length} targets`);
    const sample = sampleOf(targets, "targets");
    const targetMean = mean(sample);
    return transposeProduct(
      smoothing,
      sample.map((target) => target - targetMean),
    ).map((value) => value + targetMean);
  };
}

function setColumn(rows: Float64Array, k: number, at: number, column: Float64Array): void {
  for (const [row, value] of column.entries()) rows[row * k + at] = value;
}

function columnOf(rows: Float64Array, k: number, at: number, length: number): Float64Array {
  return Float64Array.from({ length }, (_, row) => rows[row * k + at] ?? Number.NaN);
}

interface Problem {
  readonly data: RowMatrix["data"];
  readonly means: Float64Array;
  readonly centred: Float64Array;
  readonly alpha: number;
}

function primalWeights(
  { data, means, centred, alpha }: Problem,
  solve: (b: Float64Array) => Float64Array,
): Float64Array {
  const weights = solve(shiftedTransposeProduct(data, means, centred));
  const errors = minus(centred, shiftedProduct(data, means, weights));
  const residual = shiftedTransposeProduct(data, means, errors);
  addScaled(residual, -alpha, weights);
  addScaled(weights, 1, solve(residual));
  return weights;
}

function dualWeights({ data, means, centred, alpha }: Problem, solve: (b: Float64Array) => Float64Array): Float64Array {
  const toWeights = (dual: Float64Array) => shiftedTransposeProduct(data, means, dual);
  const dual = solve(centred);
  const residual = minus(centred, shiftedProduct(data, means, toWeights(dual)));
  addScaled(residual, -alpha, dual);
  addScaled(dual, 1, solve(residual));
  return toWeights(dual);
}

function minus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] ?? Number.NaN));
}
