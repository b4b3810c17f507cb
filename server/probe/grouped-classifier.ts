/** Logistic regression with standardised columns, whose penalty is chosen by cross-validation over groups. */
import { invariant } from "../common/errors.ts";
import type { Pacer } from "../common/pacer.ts";
import { type GroupFold, groupFolds } from "../statistics/group-folds.ts";
import type { RowMatrix } from "../statistics/linear-algebra.ts";
import { type LinearModel, predictLinear } from "../statistics/linear-model.ts";
import { fitLogistic } from "../statistics/logistic.ts";
import { standardised, standardiserOf, unstandardised } from "../statistics/standardise.ts";
import type { ClassificationSettings } from "./classification-types.ts";
import { takeRows } from "./features.ts";

/** Labels and groups of all rows. */
export interface LabelledRows {
  readonly labels: readonly boolean[];
  readonly groups: readonly string[];
}

/** Columns of a classifier; may depend on the rows that it is trained on, such as the words of a bag of words. */
export type ClassifierInput = (train: Int32Array) => (rows: Int32Array) => RowMatrix;

/** An input whose columns are given. */
export function fixedInput(matrix: RowMatrix): ClassifierInput {
  return () => (rows) => takeRows(matrix, rows);
}

export interface FittedClassifier {
  /** The log-odds of label 1 as a function of the columns as they are. */
  readonly model: LinearModel;
  readonly converged: boolean;
  /** The same of the standardised columns: where a fit of the same rows at another strength may begin. */
  readonly standardised: LinearModel;
}

type FitSettings = Pick<ClassificationSettings, "innerFolds" | "strengths" | "maxIterations">;

export interface Fitting {
  readonly strength: number;
  readonly maxIterations: number;
  /** As for `fitLogistic`; by default so small that nothing but rounding parts the fit from the minimum. */
  readonly tolerance?: number;
  /** As for `fitLogistic`, of standardised columns. */
  readonly start?: LinearModel | undefined;
}

/** Tolerance of fits that only choose a strength, or show chance. */
export const roughly = 1e-4;

/** Fits classifiers to the same rows, which are standardised once. A fit throws `OneClassError`. */
export function classifierOf(features: RowMatrix): (labels: readonly boolean[], fitting: Fitting) => FittedClassifier {
  const standardiser = standardiserOf(features);
  const rows = standardised(standardiser, features);
  return (labels, { strength, maxIterations, tolerance = 1e-8, start }) => {
    const from = start === undefined ? {} : { start };
    const fit = fitLogistic(rows, labels, { inverseStrength: strength, tolerance, maxIterations, ...from });
    return { model: unstandardised(standardiser, fit), converged: fit.converged, standardised: fit };
  };
}

/**
 * The strength with the least held-out log-loss among folds by group of the rows `train`; of equal ones the smallest,
 * which penalises most.
 */
export async function chooseStrength(
  input: ClassifierInput,
  { labels, groups }: LabelledRows,
  train: Int32Array,
  { innerFolds, strengths, maxIterations }: FitSettings,
  pacer: Pacer,
): Promise<number> {
  const [first] = strengths;
  invariant(first !== undefined, "no strength to choose from");
  if (strengths.length === 1) return first;
  const losses = strengths.map(() => 0);
  for (const fold of groupFolds(named(groups, train), innerFolds)) {
    const rows = inner(train, fold);
    const columns = input(rows.train);
    const classifier = classifierOf(columns(rows.train));
    const held = columns(rows.test);
    // The strengths ascend, and each fit is near the one before.
    let start: LinearModel | undefined;
    for (const [at, strength] of strengths.entries()) {
      await pacer.pause();
      const fitting = { strength, maxIterations, tolerance: roughly, start };
      const { model, standardised: own } = classifier(named(labels, rows.train), fitting);
      start = own;
      losses[at] = (losses[at] ?? 0) + logLoss(predictLinear(model, held), named(labels, rows.test));
    }
  }
  return strengths[losses.indexOf(Math.min(...losses))] ?? first;
}

/** Σ log(1 + exp(-s · score)), s = ±1. */
function logLoss(scores: Float64Array, labels: readonly boolean[]): number {
  return scores.reduce((sum, score, row) => {
    const margin = labels[row] ? score : -score;
    return sum + Math.log1p(Math.exp(-Math.abs(margin))) + Math.max(0, -margin);
  }, 0);
}

function inner(train: Int32Array, fold: GroupFold): GroupFold {
  const own = (rows: Int32Array): Int32Array => rows.map((row) => train[row] ?? -1);
  return { train: own(fold.train), test: own(fold.test) };
}

/** The values of some rows. */
export function named<T>(values: readonly T[], rows: Int32Array): T[] {
  return Array.from(rows, (row) => {
    const value = values[row];
    invariant(value !== undefined, `there is no row ${row} among ${values.length}`);
    return value;
  });
}
