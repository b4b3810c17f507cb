import type { MatrixConfig } from "../../kernels/matmul/matrix-text.ts";
import { f32Peak, matrixPeak, type Peak } from "../../kernels/peak.ts";
import type { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { timingOf } from "./gpu-products.ts";
import { BenchCheckError } from "./timing.ts";

/** Peak TFLOP/s, from kernels that only multiply and add in registers; of matrices only if the adapter has them. */
export interface Peaks {
  readonly f32Tflops: number;
  readonly f32MatrixTflops?: number;
  readonly halfMatrixTflops?: number;
}

/** The timer's members that are used here. */
export type PeakTimer = Pick<KernelTimer, "traits" | "adapter" | "fill" | "run" | "seconds" | "free">;

/** Checks and times the kernels of kernels/peak.ts. Of the kinds of matrix, the fastest counts. */
export async function measurePeaks(timer: PeakTimer): Promise<Peaks> {
  const groups = timer.traits.software ? 2 : 2048;
  const f32Tflops = await measure(timer, (iterations) => ({
    peak: f32Peak(groups, iterations),
    x: Float32Array.of(0.5, 1),
    // Every number has converged to its fixed point x = x / 2 + 1.
    first: 64,
  }));
  const component = async (type: string): Promise<number | undefined> => {
    const rates: number[] = [];
    for (const config of timer.adapter.matrices)
      if (config.componentType === type && config.resultComponentType === "f32")
        rates.push(await measureMatrices(timer, config));
    return rates.length === 0 ? undefined : Math.max(...rates);
  };
  const [f32MatrixTflops, halfMatrixTflops] = [await component("f32"), await component("f16")];
  return {
    f32Tflops,
    ...(f32MatrixTflops === undefined ? {} : { f32MatrixTflops }),
    ...(halfMatrixTflops === undefined ? {} : { halfMatrixTflops }),
  };
}

async function measureMatrices(timer: PeakTimer, config: MatrixConfig): Promise<number> {
  const { subgroups } = timer.adapter;
  if (subgroups === undefined) return 0;
  const pinned = subgroups.min !== subgroups.max;
  const subgroupSize = pinned ? Math.min(Math.max(32, subgroups.min), subgroups.max) : subgroups.max;
  return await measure(timer, (iterations) => ({
    peak: matrixPeak(config, { subgroupSize, pinned }, 1024, iterations),
    x: Float32Array.of(2 ** -10),
    first: iterations * config.K * 2 ** -10,
  }));
}

/** A kernel that does only `iterations` of arithmetic, its input, and the expected value of its first number. */
interface PeakRun {
  readonly peak: Peak;
  readonly x: Float32Array<ArrayBuffer>;
  readonly first: number;
}

/**
 * Duration of a run: far longer than a launch, and shorter than any watchdog's limit. A first, short run determines the
 * iterations for it.
 */
const launchSeconds = 0.01;
const fewestIterations = 8;
const mostIterations = 2 ** 14;

async function measure(timer: PeakTimer, make: (iterations: number) => PeakRun): Promise<number> {
  let iterations = timer.traits.software ? fewestIterations : 8 * fewestIterations;
  let seconds = await checkedSeconds(timer, make(iterations));
  while (!timer.traits.software && seconds < launchSeconds / 2 && iterations < mostIterations) {
    const wanted = iterations * Math.min(16, launchSeconds / seconds);
    // Powers of two, so that F32 represents the expected result exactly.
    iterations = Math.min(mostIterations, 2 ** Math.ceil(Math.log2(wanted)));
    seconds = await checkedSeconds(timer, make(iterations));
  }
  return Number(((1e-12 * make(iterations).peak.operations) / seconds).toPrecision(3));
}

async function checkedSeconds(timer: PeakTimer, { peak, x, first }: PeakRun): Promise<number> {
  const { launch, results } = peak;
  await timer.fill({ x, y: results });
  const steps = [{ launch, operands: ["x", "y"] }];
  const [got = Number.NaN] = await timer.run(steps, "y", 1);
  if (got !== first) throw new BenchCheckError(`the first number of ${launch.kernel.name}`, String(got), String(first));
  const seconds = await timer.seconds(steps, timingOf(timer));
  timer.free();
  return seconds;
}
