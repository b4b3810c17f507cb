/**
 * Activations at the target words of triples. Letters: n triples, L chosen layers, F features a layer, B texts and T tokens a
 * run, R target tokens a run, D model width.
 */
import { invariant } from "../common/errors.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { gatherRows } from "./features.loops.ts";

/** Where a layer's features stand in a row: `start` to `end` (excluded). */
export interface LayerSpan {
  readonly layer: number;
  readonly start: number;
  readonly end: number;
}

/** z of every version of every triple, the layers side by side in numeric order. */
export interface TripleFeatures {
  readonly layers: readonly LayerSpan[];
  /** n */
  readonly triples: number;
  /** [3n, sum of F]: rows 0 to n are z⁺, n to 2n are z⁻, 2n to 3n are z⁰. */
  readonly rows: RowMatrix;
}

/** z⁺ and below it z⁻, [2n, sum of F]: what the probe sees. Not copied. */
export function polarRows({ triples, rows }: TripleFeatures): RowMatrix {
  return rowMatrix(rows.data.subarray(0, 2 * triples * rows.columns), 2 * triples, rows.columns);
}

/** Some rows of a matrix, copied in the order asked. */
export function takeRows({ data, rows, columns }: RowMatrix, wanted: Int32Array): RowMatrix {
  invariant(
    wanted.every((row) => row >= 0 && row < rows),
    `a row outside the ${rows} rows was asked for`,
  );
  return rowMatrix(gatherRows(data, columns, wanted), wanted.length, columns);
}
