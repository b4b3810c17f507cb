/** The matrix products that dominate this project's run time, and how to check and time one on a GPU. */
import { matmulPlaceReference, type Place } from "../../kernels/matmul/reference.loops.ts";
import { floatOperations, type MatmulShape } from "../../kernels/matmul/shape.ts";
import { describeVariant, factorErrors, planMatmul, type Variant } from "../../kernels/matmul/variants.ts";
import { plainFragment } from "../../kernels/wgsl.ts";
import { Random } from "../common/random.ts";
import type { KernelTimer, TimerOptions } from "../engine/webgpu/kernel-timer.ts";
import { BenchCheckError } from "./timing.ts";

/** Sizes that determine the extents of products. */
export interface ProductSizes {
  /** Texts of a training step, and tokens of each. */
  readonly texts: number;
  readonly tokens: number;
  readonly width: number;
  readonly inner: number;
  readonly heads: number;
  readonly vocab: number;
  /** Prompts that are completed at a time. */
  readonly prompts: number;
  /** Rows and features of an autoencoder's step. */
  readonly rows: number;
  readonly features: number;
}

/** Sizes by the model's name; `tiny` is for tests and software adapters. */
export const productSizes = {
  "pythia-70m": {
    texts: 8,
    tokens: 512,
    width: 512,
    inner: 2048,
    heads: 8,
    vocab: 50304,
    prompts: 64,
    rows: 2048,
    features: 1024,
  },
  "pythia-160m": {
    texts: 8,
    tokens: 512,
    width: 768,
    inner: 3072,
    heads: 12,
    vocab: 50304,
    prompts: 64,
    rows: 2048,
    features: 1536,
  },
  tiny: { texts: 2, tokens: 9, width: 20, inner: 33, heads: 2, vocab: 50, prompts: 3, rows: 17, features: 40 },
} as const satisfies Readonly<Record<string, ProductSizes>>;

export const productSizeNames = ["pythia-70m", "pythia-160m", "tiny"] as const;

/** Products by name, as in test/bench/pytorch_gpu.py. Weights are [Out, In], as in PyTorch's Linear. */
export function projectProducts(sizes: ProductSizes): Readonly<Record<string, MatmulShape>> {
  const { texts, tokens, width, inner, heads, vocab, prompts, rows, features } = sizes;
  const all = texts * tokens;
  const some = Math.ceil(all / 4);
  const head = width / heads;
  const linear = { transB: true, sharedB: true };
  const weight = { transA: true };
  return {
    mlp: product(all, inner, width, linear),
    mlpBack: product(all, width, inner),
    weightGradient: product(inner, width, all, weight),
    attentionIn: product(all, 3 * width, width, linear),
    attentionOut: product(all, width, width, linear),
    scores: product(tokens, tokens, head, { batch: texts * heads, transB: true }),
    mix: product(tokens, head, tokens, { batch: texts * heads }),
    logits: product(some, vocab, width, linear),
    logitsBack: product(some, width, vocab),
    headGradient: product(vocab, width, some, weight),
    samplingStep: product(prompts, inner, width, linear),
    samplingLogits: product(prompts, vocab, width, linear),
    encoder: product(rows, features, width, linear),
    decoder: product(rows, width, features),
    dictionaryGradient: product(features, width, rows, weight),
  };
}

function product(M: number, N: number, K: number, more: Partial<MatmulShape> = {}): MatmulShape {
  return { batch: 1, M, N, K, transA: false, transB: false, alpha: 1, sharedB: false, ...more };
}

/** Long enough for exact times on a GPU, and short enough not to block the display; minimal on a software adapter. */
export function timingOf(timer: Pick<KernelTimer, "traits">): TimerOptions {
  return timer.traits.software ? { repeats: 1, submitMs: 1 } : { repeats: 7, submitMs: 20 };
}

export interface TimedVariant {
  readonly variant: Variant;
  readonly seconds: number;
  readonly tflops: number;
}

/**
 * Callbacks: before each variant is tried, and for each that is skipped, with the reason. What either throws ends the
 * timing.
 */
export interface Attempts {
  readonly onTry?: (variant: Variant) => Promise<void>;
  readonly onRefused: (variant: Variant, reason: unknown) => void;
}

/**
 * Times variants of a product after checking some places of each result against the CPU, in f64. Skips a variant whose
 * result is wrong, that the adapter's compiler rejects, or that loses the device, which is then reopened.
 */
export async function timeProduct(
  timer: KernelTimer,
  shape: MatmulShape,
  variants: readonly Variant[],
  timing: TimerOptions & { readonly signal: AbortSignal },
  { onTry, onRefused }: Attempts,
): Promise<TimedVariant[]> {
  const { batch, M, N } = shape;
  const factors = factorsOf(shape);
  await timer.fill({ ...factors, y: batch * M * N });
  const timed: TimedVariant[] = [];
  for (const variant of variants) {
    timing.signal.throwIfAborted();
    const { steps, workspaces } = planMatmul(shape, variant, { epilogue: plainFragment, accumulate: false });
    await onTry?.(variant);
    try {
      await timer.fill({ ...workspaces });
      checkPlaces(shape, variant, factors, await timer.run(steps, "y", batch * M * N));
      const seconds = await timer.seconds(steps, timing);
      timed.push({ variant, seconds, tflops: (1e-12 * floatOperations(shape)) / seconds });
    } catch (error) {
      timing.signal.throwIfAborted();
      onRefused(variant, error);
      if (await timer.reopenIfLost()) await timer.fill({ ...factors, y: batch * M * N });
    }
    timer.free(Object.keys(workspaces));
  }
  timer.free();
  return timed;
}

function factorsOf({ batch, M, N, K, sharedB }: MatmulShape): Record<"a" | "b", Float32Array<ArrayBuffer>> {
  const random = Random.fromSeed(1);
  const values = (length: number): Float32Array<ArrayBuffer> => {
    const made = new Float32Array(length);
    for (let at = 0; at < length; at++) made[at] = 2 * random.uniform() - 1;
    return made;
  };
  return { a: values(batch * M * K), b: values((sharedB ? 1 : batch) * K * N) };
}

const checkedPlaces = 256;

/** Throws `BenchCheckError` if a place differs from the CPU's value by more than rounding explains. */
function checkPlaces(
  shape: MatmulShape,
  variant: Variant,
  { a, b }: Record<"a" | "b", Float32Array>,
  y: Float32Array,
): void {
  const random = Random.fromSeed(2);
  const { batch, M, N } = shape;
  const factorError = factorErrors[variant.kind === "tiles" ? "f32" : variant.precision];
  const corners: Place[] = [
    { item: 0, row: 0, column: 0 },
    { item: batch - 1, row: M - 1, column: N - 1 },
  ];
  const others = Array.from({ length: checkedPlaces }, () => ({
    item: random.integer(batch),
    row: random.integer(M),
    column: random.integer(N),
  }));
  for (const place of [...corners, ...others]) {
    const { value, bound } = matmulPlaceReference(shape, a, b, place, factorError);
    const got = y[(place.item * M + place.row) * N + place.column] ?? Number.NaN;
    if (!(Math.abs(got - value) <= bound))
      throw new BenchCheckError(
        `place [${place.item}, ${place.row}, ${place.column}] of a product by ${describeVariant(variant)}`,
        String(got),
        `${value}, give or take ${bound}`,
      );
  }
}
