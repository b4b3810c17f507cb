/** What the kernels of this folder have to compute, as plain loops in double precision. */
import type { MatmulShape } from "./shape.ts";

/** alpha op(A) op(B), rounded once. */
export function matmulReference(shape: MatmulShape, a: Float32Array, b: Float32Array): Float32Array {
  const { batch, M, N, K, transA, transB, alpha, sharedB } = shape;
  const y = new Float32Array(batch * M * N);
  for (let item = 0; item < batch; item++) {
    const baseA = item * M * K;
    const baseB = sharedB ? 0 : item * K * N;
    for (let row = 0; row < M; row++)
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const left = a[baseA + (transA ? k * M + row : row * K + k)]!;
          const right = b[baseB + (transB ? column * K + k : k * N + column)]!;
          sum += left * right;
        }
        y[(item * M + row) * N + column] = alpha * sum;
      }
  }
  return y;
}

/**
 * The largest error that each place of a product may have, when every factor is off by a share of `factorError` and sums are
 * rounded in f32: factorError or so times the sum of magnitudes.
 */
export function matmulErrorBound(
  shape: MatmulShape,
  a: Float32Array,
  b: Float32Array,
  factorError: number,
): Float32Array {
  const magnitudes = matmulReference({ ...shape, alpha: Math.abs(shape.alpha) }, a.map(Math.abs), b.map(Math.abs));
  // Rounding errors of a sum of K numbers grow with the root of K; 4 standard deviations.
  const share = 2 * factorError + 4 * Math.sqrt(shape.K) * 2 ** -24;
  return magnitudes.map((magnitude) => share * magnitude + 1e-30);
}

/** The power of two that takes the largest magnitude to between 2^13 and 2^14; 1 where there is nothing to scale by. */
export function halfScaleReference(x: Float32Array): number {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  if (!(largest > 0) || !Number.isFinite(largest)) return 1;
  return 2 ** Math.min(13 - Math.floor(Math.log2(largest)), 100);
}
