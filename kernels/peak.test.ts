import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { f32Peak, matrixPeak } from "./peak.ts";

describe.skipIf(adapterHere === undefined)("the kernel that measures an adapter's f32 peak", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  it("does what it counts", async () => {
    const { launch, operations, results } = f32Peak(2, 10);
    expect(operations).toBe(2 * 256 * 10 * 4 * 8 * 4 * 2);
    const { y } = await runner.run([{ launch }], { x: Float32Array.of(0.5, 1), y: results }, ["y"]);
    // Each number runs to its fixed point, x = x / 2 + 1.
    expect(new Set(y)).toEqual(new Set([8 * 4 * 2]));
    expect(y?.length).toBe(512);
  });
});

describe("the kernel that measures the peak of subgroup matrices", () => {
  it("compiles for every kind that adapters list", async () => {
    const runner = await KernelRunner.open("null");
    for (const [componentType, M, N, K, pinned] of [
      ["f16", 16, 16, 16, false],
      ["f16", 16, 8, 8, false],
      ["f16", 8, 16, 16, true],
      ["f32", 8, 8, 8, false],
    ] as const) {
      const config = { componentType, resultComponentType: "f32", M, N, K };
      const { launch, operations, results } = matrixPeak(config, { subgroupSize: 32, pinned }, 3, 5);
      await runner.compile(launch.kernel);
      expect([operations, results]).toEqual([2 * M * N * K * 8 * 4 * 5 * 3, 3 * 4 * 8 * M * N]);
    }
    runner.close();
  });
});
