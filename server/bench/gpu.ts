import { chooseVariant, type Precision, precisions, type Tuned } from "../../kernels/matmul/choose.ts";
import { describeVariant, type Variant } from "../../kernels/matmul/variants.ts";
import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { messageOf } from "../common/errors.ts";
import { type GpuName, gpuMemory, realMemorySources } from "../common/gpu-memory.ts";
import { stateFolder } from "../common/state-folder.ts";
import { readTuning } from "../common/tuning-file.ts";
import { createGpuDevice } from "../engine/webgpu/device.ts";
import { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { type GpuFigures, measureOnDevices } from "./gpu-parts.ts";
import { measurePeaks, type Peaks } from "./gpu-peaks.ts";
import { productSizes, projectProducts, timeProduct, timingOf } from "./gpu-products.ts";

export const benchGpu = defineCommand({
  usage: "[options]",
  about:
    "Times on a GPU the matrix products of training, sampling and autoencoders (with their share of the adapter's own peak, measured first), full training " +
    "steps on 8 texts of 512 tokens, sampling of 20 tokens for 64 prompts, and a step of two autoencoders on 2048 activations. Weights are random, times " +
    "medians. Each is checked against the CPU before it is timed: places of products in double precision, steps and tokens on the CPU device.\n\n" +
    "test/bench/pytorch_gpu.py times the same work in PyTorch on CUDA.",
  options: {
    shape: option.choice("SHAPE", "the model's size", ["pythia-70m", "pythia-160m"], "pythia-70m"),
    tiny: option.flag("tiny sizes instead, for adapters that compute on the processor"),
    precision: option.choice("PRECISION", "how exactly factors of products are taken", precisions, "f32"),
    adapter: option.text("NAME", "part of the name of the GPU, where there are several"),
    repeats: option.integer("timed repeats of each step", 10, { min: 1 }),
    fast: option.flag("leave out Dawn's checks that keep a faulty kernel inside its buffers"),
  },
  run: async ({ options, env, signal, note }): Promise<CommandResult> => {
    const { precision, fast, repeats } = options;
    const adapter = { ...(options.adapter === undefined ? {} : { adapter: options.adapter }), fast };
    const shape = options.tiny ? "tiny" : options.shape;
    const timer = await KernelTimer.open(adapter);
    const tuned = await readTuning(stateFolder(env), timer.traits);
    const { description } = timer.traits;
    let peaks: Peaks;
    let products: Products;
    try {
      note("measuring peaks");
      peaks = await measurePeaks(timer);
      products = await measureProducts(timer, { shape, precision, tuned, peaks, signal, note });
    } finally {
      await timer.close();
    }
    const memory = (gpu: GpuName) => gpuMemory(gpu, realMemorySources(env));
    const device = await createGpuDevice({ ...adapter, precision, tuned: async () => tuned, memory });
    try {
      const steps = await measureOnDevices(device, { shape, precision, repeats, signal, note });
      const refused = [...products.refused, ...steps.refused];
      const isRight = refused.length === 0;
      const json = {
        name: "gpu",
        check: isRight ? "ok" : "failed",
        adapter: description,
        device: device.kind,
        model: `${shape}-shape`,
        precision,
        fast,
        tuned: Object.keys(tuned).length,
        peaks,
        products: products.timed,
        refused,
        ...steps.figures,
      };
      return { json, text: asText(json), status: isRight ? "ok" : "internal" };
    } finally {
      await device.close();
    }
  },
});

interface ProductFigures {
  readonly name: string;
  readonly variant: string;
  readonly tflops: number;
  /**
   * Share of the peak of the units that the kernel uses, from 0 to 1; for `split`, of a third of the peak of float16.
   */
  readonly share: number;
}

/** Work that is not timed, because its result is wrong or the adapter rejects it; for a product, with its kernel. */
interface Refused {
  readonly name: string;
  readonly variant?: string;
  readonly reason: string;
}

/** The products' figures. A rejected product lacks its own figure only. */
interface Products {
  readonly timed: readonly ProductFigures[];
  readonly refused: readonly Refused[];
}

interface ProductWork {
  readonly shape: keyof typeof productSizes;
  readonly precision: Precision;
  readonly tuned: Tuned;
  readonly peaks: Peaks;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

export async function measureProducts(timer: KernelTimer, work: ProductWork): Promise<Products> {
  const { precision, tuned, peaks, signal } = work;
  const timing = { ...timingOf(timer), signal };
  const figures: ProductFigures[] = [];
  const refused: Refused[] = [];
  for (const [name, shape] of Object.entries(projectProducts(productSizes[work.shape]))) {
    if (work.shape === "tiny" && !tinyProducts.includes(name)) continue;
    work.note(`checking and timing ${name}`);
    const variant = chooseVariant(shape, timer.adapter, precision, tuned);
    const [timed] = await timeProduct(timer, shape, [variant], timing, {
      onRefused: (_, reason) => {
        work.note(`${name}: ${messageOf(reason)}`);
        refused.push({ name, variant: describeVariant(variant), reason: messageOf(reason) });
      },
    });
    if (timed === undefined) continue;
    figures.push({
      name,
      variant: describeVariant(variant),
      tflops: significant(timed.tflops),
      share: significant(timed.tflops / peakFor(variant, peaks)),
    });
  }
  return { timed: figures, refused };
}

/** One of each kind: software adapters compile slowly. */
const tinyProducts = ["mlp", "weightGradient", "scores", "mlpBack"];

function peakFor(variant: Variant, { f32Tflops, f32MatrixTflops, halfMatrixTflops }: Peaks): number {
  if (variant.kind === "tiles") return f32Tflops;
  const { f32, half, split } = {
    f32: f32MatrixTflops,
    half: halfMatrixTflops,
    split: halfMatrixTflops && halfMatrixTflops / 3,
  };
  return { f32, half, split }[variant.precision] ?? Number.NaN;
}

function significant(value: number): number {
  return Number(value.toPrecision(3));
}

type Report = Partial<GpuFigures> & {
  readonly adapter: string;
  readonly model: string;
  readonly precision: Precision;
  readonly peaks: Peaks;
  readonly products: readonly ProductFigures[];
  readonly refused: readonly Refused[];
};

function asText(report: Report): string {
  const { adapter, model, precision, peaks, products, refused, training, sampling, autoencoders } = report;
  const { f32Tflops, f32MatrixTflops, halfMatrixTflops } = peaks;
  const rate = (tflops: number): string =>
    tflops < 0.1 ? `${significant(1000 * tflops)} GFLOP/s` : `${tflops} TFLOP/s`;
  const matrixPeaks = [
    ...(f32MatrixTflops === undefined ? [] : [`, ${rate(f32MatrixTflops)} by matrices of F32`]),
    ...(halfMatrixTflops === undefined ? [] : [`, ${rate(halfMatrixTflops)} by matrices of halves`]),
  ];
  return [
    `${model} on ${adapter}, ${precision}; ${refused.length === 0 ? "checks passed" : "NOT ALL CHECKS PASSED"}`,
    `peak                ${rate(f32Tflops)} in F32${matrixPeaks.join("")}`,
    ...products.map(
      ({ name, variant, tflops, share }) =>
        `${name.padEnd(20)}${rate(tflops)}, ${(100 * share).toFixed(0)} % of the peak: ${variant}`,
    ),
    training && `training step       ${training.milliseconds} ms, ${training.tokensPerSecond} tokens/s`,
    sampling && `sampling            ${sampling.milliseconds} ms, ${sampling.newTokensPerSecond} new tokens/s`,
    autoencoders &&
      `autoencoder step    ${autoencoders.milliseconds} ms, ${autoencoders.tokensPerSecond} tokens/s into each`,
    ...refused.map(({ name, variant, reason }) => {
      const kernel = variant === undefined ? "" : `${variant}: `;
      return `${name.padEnd(20)}not timed: ${kernel}${reason}`;
    }),
  ]
    .filter((line) => line !== undefined)
    .join("\n");
}
