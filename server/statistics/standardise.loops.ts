import type { Floats } from "./linear-algebra.loops.ts";

/**
 * Sum of squares about the mean of every column; corrected for the rounding of the mean (Chan, Golub and LeVeque 1983),
 * as numpy's incremental variance is in scikit-learn.
 */
export function columnSquares(data: Floats, columns: number, means: Float64Array): Float64Array {
  const squares = new Float64Array(columns);
  const drifts = new Float64Array(columns);
  const rows = data.length / columns;
  for (let row = 0; row < data.length; row += columns) {
    for (let j = 0; j < columns; j++) {
      const off = data[row + j]! - means[j]!;
      squares[j]! += off * off;
      drifts[j]! += off;
    }
  }
  for (let j = 0; j < columns; j++) squares[j] = Math.max(0, squares[j]! - (drifts[j]! * drifts[j]!) / rows);
  return squares;
}

/** (x - mean) / scale of every element. */
export function scaleRows(data: Floats, means: Float64Array, scales: Float64Array): Float64Array {
  const columns = means.length;
  const scaled = new Float64Array(data.length);
  for (let row = 0; row < data.length; row += columns)
    for (let j = 0; j < columns; j++) scaled[row + j] = (data[row + j]! - means[j]!) / scales[j]!;
  return scaled;
}
