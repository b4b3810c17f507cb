/**
 * Self-test of subgroup matrices. They are experimental in Dawn and new in drivers, and wrong products would go
 * unnoticed in training. So before their first use, this computes two small products of known result on the adapter.
 */
import { candidates, type Precision } from "../../../kernels/matmul/choose.ts";
import { matmulPlaceReference } from "../../../kernels/matmul/reference.loops.ts";
import type { MatmulShape } from "../../../kernels/matmul/shape.ts";
import { factorErrors, type MatmulAdapter, type MatmulPlan, planMatmul } from "../../../kernels/matmul/variants.ts";
import { plainFragment } from "../../../kernels/wgsl.ts";
import { messageOf } from "../../common/errors.ts";
import { Random } from "../../common/random.ts";

/** Computes a plan on the adapter: `factors` are a and b, the result is y. */
export type RunPlan = (
  plan: MatmulPlan,
  factors: Readonly<Record<"a" | "b", Float32Array<ArrayBuffer>>>,
  size: number,
) => Promise<Float32Array>;

export interface CheckedAdapter {
  /** The adapter, with an empty `matrices` list if they failed. */
  readonly adapter: MatmulAdapter;
  /** Why they were excluded. */
  readonly problem: string | undefined;
}

/** One of whole tiles without transposes, and one that crosses tile edges with both factors transposed. */
const shapes: readonly MatmulShape[] = [
  { batch: 1, M: 128, N: 128, K: 64, transA: false, transB: false, alpha: 1, sharedB: false },
  { batch: 2, M: 140, N: 75, K: 50, transA: true, transB: true, alpha: 0.5, sharedB: false },
];

/** Excludes matrices that compute wrong results or that the adapter's compiler refuses. */
export async function checkMatrices(
  adapter: MatmulAdapter,
  precision: Precision,
  run: RunPlan,
): Promise<CheckedAdapter> {
  for (const shape of shapes) {
    const variant = candidates(shape, adapter, precision).find(({ kind }) => kind === "matrices");
    if (variant === undefined || variant.kind !== "matrices") return { adapter, problem: undefined };
    const { batch, M, N, K } = shape;
    const random = Random.fromSeed(1);
    // So small that halves would underflow without scales.
    const values = (length: number) => Float32Array.from({ length }, () => 1e-6 * random.normal());
    const factors = { a: values(batch * M * K), b: values(batch * K * N) };
    const without = { ...adapter, matrices: [] };
    try {
      const plan = planMatmul(shape, variant, { epilogue: plainFragment, accumulate: false });
      const y = await run(plan, factors, batch * M * N);
      const error = worstShare(shape, factors, y, factorErrors[variant.precision]);
      if (!(error <= 1)) return { adapter: without, problem: "they compute wrongly here" };
    } catch (error) {
      return { adapter: without, problem: messageOf(error) };
    }
  }
  return { adapter, problem: undefined };
}

/** The largest error of any element, relative to its rounding bound; NaN if any is NaN. */
function worstShare(
  shape: MatmulShape,
  { a, b }: Readonly<Record<"a" | "b", Float32Array>>,
  y: Float32Array,
  factorError: number,
): number {
  const { batch, M, N } = shape;
  let worst = 0;
  for (let at = 0; at < batch * M * N; at++) {
    const place = { item: Math.floor(at / (M * N)), row: Math.floor(at / N) % M, column: at % N };
    const { value, bound } = matmulPlaceReference(shape, a, b, place, factorError);
    const share = Math.abs((y[at] ?? Number.NaN) - value) / bound;
    if (!(share <= worst)) worst = share;
    if (Number.isNaN(share)) return share;
  }
  return worst;
}
