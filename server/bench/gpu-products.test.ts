import { afterEach, describe, expect, it, vi } from "vitest";
import { candidates } from "../../kernels/matmul/choose.ts";
import { gpuIsHere } from "../../test/conformance/devices.ts";
import { GpuContext } from "../engine/webgpu/context.ts";
import { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { productSizes, projectProducts, timeProduct, timingOf } from "./gpu-products.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe.skipIf(!gpuIsHere)("the timing of a product's kernels", () => {
  it("opens the device again after a kernel that it was lost with, and goes on with the others", async () => {
    const timer = await KernelTimer.open();
    const { mlp: shape = expect.fail() } = projectProducts(productSizes.tiny);
    const variants = candidates(shape, timer.adapter, "f32").slice(0, 2);
    vi.spyOn(GpuContext.prototype, "pipeline").mockImplementationOnce(async function (this: GpuContext) {
      this.device.destroy();
      await this.device.lost;
      throw new Error("made up");
    });
    const [tried, refused]: [unknown[], unknown[]] = [[], []];
    const timing = { ...timingOf(timer), signal: new AbortController().signal };
    const timed = await timeProduct(timer, shape, variants, timing, {
      onTry: async (variant) => {
        tried.push(variant);
      },
      onRefused: (variant) => refused.push(variant),
    });
    expect(tried).toEqual(variants);
    expect(refused).toEqual([variants[0]]);
    expect(timed.map(({ variant }) => variant)).toEqual([variants[1]]);
    await timer.close();
  });
});
