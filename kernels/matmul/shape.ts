/** What every matrix product here computes, and how its result may be changed on the way out. */
import type { Fragment } from "../wgsl.ts";

/** y [batch, M, N] = alpha op(A) op(B), row-major; A is [batch, M, K] or, transposed, [batch, K, M], and so on. */
export interface MatmulShape {
  readonly batch: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  /** B has no batch axis and serves every A. */
  readonly sharedB: boolean;
}

/** What becomes of a finished sum. */
export interface Finish {
  /** Over `value`, `column` and `at`, its place in y; it may bind what it reads, such as a bias. */
  readonly epilogue: Fragment;
  /** y += the result, instead of y = the result. */
  readonly accumulate: boolean;
  /** Of y, that the adapter binds at once; a larger y is written by single elements (windows.ts). By default all of it. */
  readonly mostBytes?: number;
}

export const floatOperations = ({ batch, M, N, K }: MatmulShape): number => 2 * batch * M * N * K;

/** Batches that share B and follow each other in memory are rows of one larger A. */
export function flattened(shape: MatmulShape): MatmulShape {
  const { batch, M, transA, sharedB } = shape;
  return batch > 1 && sharedB && !transA ? { ...shape, batch: 1, M: batch * M } : shape;
}

/** value + bias[column], then ReLU if asked for: an affine layer in one kernel. */
export function biasEpilogue(relu: boolean): Fragment {
  return {
    bindings: [{ name: "bias", type: "f32", access: "read" }],
    declarations: "",
    statements: "",
    result: relu ? "max(value + bias[column], 0.0f)" : "value + bias[column]",
  };
}
