/** Leverage: how far a token's features lie from the rows that the probe was fitted on, and the threshold for it. */
import { z } from "zod";
import { centredForm, formsAt } from "../common/centred-form.loops.ts";
import { Pacer } from "../common/pacer.ts";
import { factor, meansOf, type RowMatrix, scatter } from "../statistics/linear-algebra.ts";
import { percentiles } from "../statistics/percentile.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import type { Fold, Split } from "./splits.ts";

/**
 * Leverage of features z in the probe's ridge regression (without the constant 1 / n of its intercept):
 *
 *     h(z) = (z - m)ᵀ (XᵀX + alpha I)⁻¹ (z - m),    X the training rows less their mean m
 *
 * It measures how much the fit's prediction at z would move with the targets (Hoaglin and Welsch 1978,
 * doi:10.1080/00031305.1978.10479237), and grows as z leaves the directions in which the training rows vary.
 */
export interface Familiarity {
  /** m [F] */
  readonly means: Float32Array;
  /** [F (F + 1) / 2]: the lower triangle of (XᵀX + alpha I)⁻¹, row after row. */
  readonly inverse: Float32Array;
  /**
   * 95th percentile of leverage among held-out words (split by word). Above it the probe extrapolates and its
   * held-out accuracy does not apply.
   */
  readonly limit: number;
}

const FAMILIAR_PERCENT = 95;

export interface FamiliarityProblem {
  /** Polar rows that the probe is fitted on. */
  readonly train: Int32Array;
  readonly byWord: Split;
  readonly alpha: number;
  readonly pacer?: Pacer;
  /** Returns the leverages of a fold's test rows: computes them, or reads them from an earlier, interrupted run. */
  readonly heldOut?: (fold: number, compute: () => Promise<number[]>) => Promise<readonly number[]>;
}

/**
 * Fits the leverage's matrix to the probe's training rows, and takes the threshold from the folds of the split by
 * word.
 */
export async function familiarityOf(
  features: TripleFeatures,
  { train, byWord, alpha, pacer = new Pacer(), heldOut = async (_, compute) => compute() }: FamiliarityProblem,
): Promise<Familiarity> {
  const rows = polarRows(features);
  const unseen: number[] = [];
  for (const [index, fold] of byWord.folds.entries()) {
    const compute = (): Promise<number[]> => heldOutLeverages(features, fold, alpha, pacer);
    for (const leverage of await heldOut(index, compute)) unseen.push(leverage);
  }
  const [limit = 0] = percentiles(Float64Array.from(unseen), [FAMILIAR_PERCENT]);
  return { ...(await fitted(takeRows(rows, train), alpha, pacer)), limit: Math.fround(limit) };
}

/** Leverages of a fold's test rows under the matrix of its training rows. */
export async function heldOutLeverages(
  features: TripleFeatures,
  { train, test }: Fold,
  alpha: number,
  pacer: Pacer,
): Promise<number[]> {
  const rows = polarRows(features);
  return [...leverages(takeRows(rows, test), await fitted(takeRows(rows, train), alpha, pacer))];
}

/** Leverages of one fold, as stored between the parts of a long evaluation. */
export const leveragesSchema = z.array(z.number().nonnegative());

/** Leverage h of every row. */
export function leverages(
  { data, rows, columns }: RowMatrix,
  { means, inverse }: Omit<Familiarity, "limit">,
): Float64Array {
  const active = Int32Array.from(data.keys()).filter((at) => data[at] !== 0);
  const rowStarts = new Int32Array(rows + 1);
  for (const at of active) rowStarts[Math.floor(at / columns) + 1] = 1 + (rowStarts[Math.floor(at / columns) + 1] ?? 0);
  for (const [row, count] of rowStarts.entries()) rowStarts[row] = count + (rowStarts[row - 1] ?? 0);
  return formsAt(centredForm(inverse, means), {
    rowStarts,
    columns: active.map((at) => at % columns),
    values: Float32Array.from(active, (at) => data[at] ?? 0),
  });
}

/** The fitted matrix, rounded to the precision in which it is saved. */
async function fitted(rows: RowMatrix, alpha: number, pacer: Pacer): Promise<Omit<Familiarity, "limit">> {
  const means = meansOf(rows);
  const solve = await factor(await scatter(rows, means, pacer), alpha, pacer);
  const size = rows.columns;
  const inverse = new Float32Array((size * (size + 1)) / 2);
  const unit = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    await pacer.pause();
    unit[i] = 1;
    inverse.set(solve(unit).subarray(0, i + 1), (i * (i + 1)) / 2);
    unit[i] = 0;
  }
  return { means: Float32Array.from(means), inverse };
}
