import { invariant, LfpError } from "../common/errors.ts";
import { minimise } from "./lbfgs.ts";
import { meansOf, type RowMatrix } from "./linear-algebra.ts";
import { type LinearModel, predictLinear } from "./linear-model.ts";
import { addLogisticLoss } from "./logistic.loops.ts";

/** A classifier was given rows of one class only. */
export class OneClassError extends LfpError {
  readonly code = "input";
}

export interface LogisticOptions {
  /** C, the weight of the data against the penalty; 1 by default. */
  readonly inverseStrength?: number;
  /** Largest element of the gradient of the objective divided by C n at which to stop; 1e-4 by default. */
  readonly tolerance?: number;
  /** 100 by default. */
  readonly maxIterations?: number;
  /** Weights to begin at, such as those of a fit at another strength; all zero by default. */
  readonly start?: LinearModel;
}

/** The log-odds of label 1, and how the fit ended. */
export interface LogisticModel extends LinearModel {
  /** ½‖w‖² + C Σ log(1 + exp(-s(w·x + b))) at the end. */
  readonly objective: number;
  readonly iterations: number;
  /** False if the iterations ran out first: the weights are usable, but not yet the minimum's. */
  readonly converged: boolean;
}

/**
 * L2-regularised logistic regression with the objective and stopping rule of `sklearn.linear_model.LogisticRegression()`:
 *
 *     minimise ½‖w‖² + C Σ_i log(1 + exp(-s_i (w·x_i + b))),   s = ±1, the intercept b not penalised
 *
 * `labels` are 0 and 1, or booleans. Throws `OneClassError` when all are equal, `NonFiniteFeaturesError` on NaN or infinity.
 */
export function fitLogistic(
  features: RowMatrix,
  labels: ArrayLike<number | boolean>,
  options: LogisticOptions = {},
): LogisticModel {
  const { inverseStrength = 1, tolerance = 1e-4, maxIterations = 100, start } = options;
  const { data, rows, columns } = features;
  invariant(labels.length === rows, `${rows} rows of features got ${labels.length} labels`);
  invariant(inverseStrength > 0, `the inverse strength must be above 0, got ${inverseStrength}`);
  meansOf(features);
  const signs = signsOf(labels);
  const scale = inverseStrength * rows;
  const objective = (at: Float64Array, gradient: Float64Array) => {
    let penalty = 0;
    const loss = addLogisticLoss(data, signs, at, gradient);
    for (let j = 0; j <= columns; j++) {
      const weight = j < columns ? (at[j] ?? 0) : 0;
      gradient[j] = (gradient[j] ?? 0) / rows + weight / scale;
      penalty += weight * weight;
    }
    return loss / rows + penalty / 2 / scale;
  };
  const from = new Float64Array(columns + 1);
  if (start !== undefined) from.set([...start.weights, start.intercept]);
  const { at, value, iterations, converged } = minimise(objective, from, { tolerance, maxIterations });
  const [weights, intercept] = [at.slice(0, columns), at[columns] ?? 0];
  return { weights, intercept, objective: value * scale, iterations, converged };
}

/** Whether each row is predicted to have label 1: w·x + b > 0. */
export function predictLabels(model: LinearModel, features: RowMatrix): boolean[] {
  return Array.from(predictLinear(model, features), (score) => score > 0);
}

function signsOf(labels: ArrayLike<number | boolean>): Int8Array {
  const signs = Int8Array.from(labels, (label) => {
    const known = Number(label);
    invariant(known === 0 || known === 1, `labels are 0 and 1, got ${label}`);
    return 2 * known - 1;
  });
  if (new Set(signs).size < 2)
    throw new OneClassError(
      `a classifier needs rows of both classes, got ${signs.length} rows of ${signs.length === 0 ? "none" : "one"}; check the labels and the split`,
    );
  return signs;
}
