import type { MatrixConfig } from "../../kernels/matmul/matrix-text.ts";
import { f32Peak, matrixPeak, type Peak } from "../../kernels/peak.ts";
import type { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { BenchCheckError } from "./bench-timing.ts";
import { timingOf } from "./gpu-products.ts";

/** TFLOP/s that kernels reach which only multiply and add in registers; matrices only where the adapter has them. */
export interface Peaks {
  readonly f32Tflops: number;
  readonly f32MatrixTflops?: number;
  readonly halfMatrixTflops?: number;
}

/** Checks and times the kernels of kernels/peak.ts. The fastest kind of matrix counts. */
export async function measurePeaks(timer: KernelTimer): Promise<Peaks> {
  const { software } = timer.traits;
  const [groups, iterations] = software ? [2, 8] : [2048, 4096];
  const plain = f32Peak(groups, iterations);
  // Every number has run to its fixed point x = x / 2 + 1.
  const f32Tflops = await measure(timer, plain, Float32Array.of(0.5, 1), 64);
  const component = async (type: string): Promise<number | undefined> => {
    const rates: number[] = [];
    for (const config of timer.adapter.matrices)
      if (config.componentType === type && config.resultComponentType === "f32")
        rates.push(await measureMatrices(timer, config, [1024, 2048]));
    return rates.length === 0 ? undefined : Math.max(...rates);
  };
  const [f32MatrixTflops, halfMatrixTflops] = [await component("f32"), await component("f16")];
  return {
    f32Tflops,
    ...(f32MatrixTflops === undefined ? {} : { f32MatrixTflops }),
    ...(halfMatrixTflops === undefined ? {} : { halfMatrixTflops }),
  };
}

async function measureMatrices(
  timer: KernelTimer,
  config: MatrixConfig,
  [groups, iterations]: readonly [number, number],
): Promise<number> {
  const { subgroups } = timer.adapter;
  if (subgroups === undefined) return 0;
  const pinned = subgroups.min !== subgroups.max;
  const subgroupSize = pinned ? Math.min(Math.max(32, subgroups.min), subgroups.max) : subgroups.max;
  const peak = matrixPeak(config, { subgroupSize, pinned }, groups, iterations);
  return await measure(timer, peak, Float32Array.of(2 ** -10), iterations * config.K * 2 ** -10);
}

/** `first` is what the first number has to be. */
async function measure(
  timer: KernelTimer,
  { launch, operations, results }: Peak,
  x: Float32Array<ArrayBuffer>,
  first: number,
): Promise<number> {
  await timer.fill({ x, y: results });
  const steps = [{ launch, operands: ["x", "y"] }];
  const [got = Number.NaN] = await timer.run(steps, "y", 1);
  if (got !== first) throw new BenchCheckError(`the first number of ${launch.kernel.name}`, String(got), String(first));
  const seconds = await timer.seconds(steps, timingOf(timer));
  timer.free();
  return Number(((1e-12 * operations) / seconds).toPrecision(3));
}
