/** Shapes of matrix products, and the finish that may be fused with them. */
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
  /** B has no batch axis and is shared by every A. */
  readonly sharedB: boolean;
}

/** What happens to a finished sum. */
export interface Finish {
  /** Code over `value`, `column` and `at`, its index in y; it may have bindings of its own, such as a bias. */
  readonly epilogue: Fragment;
  /** y += the result, instead of y = the result. */
  readonly accumulate: boolean;
  /** Maximum bytes of y in one binding; a larger y is written element by element (windows.ts). Default: no limit. */
  readonly mostBytes?: number;
}

export const floatOperations = ({ batch, M, N, K }: MatmulShape): number => 2 * batch * M * N * K;

/** Merges a batch with a shared B into one product: its matrices A are contiguous, so they form one larger A. */
export function flattened(shape: MatmulShape): MatmulShape {
  const { batch, M, transA, sharedB } = shape;
  return batch > 1 && sharedB && !transA ? { ...shape, batch: 1, M: batch * M } : shape;
}

/** value + bias[column], then ReLU if `relu`: an affine layer in one kernel. */
export function biasEpilogue(relu: boolean): Fragment {
  return {
    bindings: [{ name: "bias", type: "f32", access: "read" }],
    declarations: "",
    statements: "",
    result: relu ? "max(value + bias[column], 0.0f)" : "value + bias[column]",
  };
}
