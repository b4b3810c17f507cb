/**
 * Activations at spans of texts, such as the target words of triples. Letters: S spans, n triples, L chosen layers,
 * F features a layer, B texts and T tokens a run, R target tokens a run, D model width.
 */
import { invariant } from "../common/errors.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { gatherRows } from "./features.loops.ts";

/** Columns of a layer's features in a row: `start` to `end` (excluded). */
export interface LayerSpan {
  readonly layer: number;
  readonly start: number;
  readonly end: number;
}

/** Features z of spans, the layers side by side in numeric order. */
export interface SpanFeatures {
  readonly layers: readonly LayerSpan[];
  /** [S, sum of F] */
  readonly rows: RowMatrix;
}

/** Features z of every version of every triple: rows 0 to n are z⁺, n to 2n are z⁻, 2n to 3n are z⁰. */
export interface TripleFeatures extends SpanFeatures {
  /** n */
  readonly triples: number;
}

/** Features of triples, from those of their `spansOf`. */
export function tripleFeatures({ layers, rows }: SpanFeatures): TripleFeatures {
  invariant(rows.rows % 3 === 0, `${rows.rows} rows are not three a triple`);
  return { layers, triples: rows.rows / 3, rows };
}

/** z⁺ and below it z⁻, [2n, sum of F]: the probe's input. Not copied. */
export function polarRows({ triples, rows }: TripleFeatures): RowMatrix {
  return rowMatrix(rows.data.subarray(0, 2 * triples * rows.columns), 2 * triples, rows.columns);
}

/** Copies the wanted rows of a matrix, in the order of `wanted`. */
export function takeRows({ data, rows, columns }: RowMatrix, wanted: Int32Array): RowMatrix {
  invariant(
    wanted.every((row) => row >= 0 && row < rows),
    `a row outside the ${rows} rows was asked for`,
  );
  return rowMatrix(gatherRows(data, columns, wanted), wanted.length, columns);
}
