/** Sums in double precision. */
export function sumOfSquares(values: Float32Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]! * values[i]!;
  return total;
}

/** Sum of (a - b)^2 in double precision; the arrays are of one length. */
export function sumOfSquaresOfDifference(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    total += difference * difference;
  }
  return total;
}
