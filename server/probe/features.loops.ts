/** Loops over features, row after row. */

export type Floats = Float32Array | Float64Array;

/** Copies the wanted rows, in order, into a new matrix. */
export function gatherRows(data: Floats, columns: number, wanted: Int32Array): Floats {
  const length = wanted.length * columns;
  const result = data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
  for (let i = 0; i < wanted.length; i++) {
    const from = wanted[i]! * columns;
    result.set(data.subarray(from, from + columns), i * columns);
  }
  return result;
}

/** target[targetAt + j] += weight * source[sourceAt + j], for j < width. */
export function addScaledRow(
  target: Floats,
  targetAt: number,
  source: Floats,
  sourceAt: number,
  width: number,
  weight: number,
): void {
  for (let j = 0; j < width; j++) target[targetAt + j]! += weight * source[sourceAt + j]!;
}

/** Euclidean distance between row i of one matrix and row i of the other, for each i. */
export function rowDistances(a: Floats, b: Floats, rows: number, columns: number): Float64Array {
  const distances = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let at = i * columns; at < (i + 1) * columns; at++) {
      const difference = a[at]! - b[at]!;
      sum += difference * difference;
    }
    distances[i] = Math.sqrt(sum);
  }
  return distances;
}

export function countNonZero(values: Floats): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) count += 1;
  return count;
}

/** Largest absolute difference of corresponding elements; infinite if the lengths differ or an element is NaN. */
export function largestDifference(a: Floats, b: Floats): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}
