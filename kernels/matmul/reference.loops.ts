/** References for the kernels of this folder: plain loops in double precision. */
import type { MatmulShape } from "./shape.ts";

/** An element's place in y. */
export interface Place {
  readonly item: number;
  readonly row: number;
  readonly column: number;
}

/**
 * One element of a product, and the error bound of a kernel's result when factors have a relative error of
 * `factorError` and sums are rounded in f32, in proportion to the sum of magnitudes. Rounding errors of K additions
 * grow with the root of K; the bound is four standard deviations.
 */
export function matmulPlaceReference(
  shape: MatmulShape,
  a: Float32Array,
  b: Float32Array,
  { item, row, column }: Place,
  factorError: number,
): { value: number; bound: number } {
  const { M, N, K, transA, transB, alpha, sharedB } = shape;
  const baseA = item * M * K;
  const baseB = sharedB ? 0 : item * K * N;
  let sum = 0;
  let magnitudes = 0;
  for (let k = 0; k < K; k++) {
    const term =
      a[baseA + (transA ? k * M + row : row * K + k)]! * b[baseB + (transB ? column * K + k : k * N + column)]!;
    sum += term;
    magnitudes += Math.abs(term);
  }
  const share = 2 * factorError + 4 * Math.sqrt(K) * 2 ** -24;
  return { value: alpha * sum, bound: share * Math.abs(alpha) * magnitudes + 1e-30 };
}

/** The power of two that scales the largest magnitude to between 2^13 and 2^14; 1 where it is 0 or not finite. */
export function halfScaleReference(x: Float32Array): number {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  if (!(largest > 0) || !Number.isFinite(largest)) return 1;
  return 2 ** Math.min(13 - Math.floor(Math.log2(largest)), 100);
}
