import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { mostElementwiseExtents, placeLaunch } from "./elementwise.ts";
import { slicedKernel, slicesOf } from "./slices.ts";
import { foldedGrid, type Launch, plainFragment } from "./wgsl.ts";

/** The groups of a grid's whole that each slice computes, as the kernel numbers them. */
function groupsOf({ grid: [x, y], first }: ReturnType<typeof slicesOf>[number]): number[] {
  return Array.from({ length: x * y }, (_, at) => first + at);
}

describe("slices of a grid", () => {
  it.each([
    { groups: 100, count: 3, axis: 65_535 },
    { groups: 100, count: 0.5, axis: 65_535 },
    { groups: 7, count: 1000, axis: 65_535 },
    { groups: 103, count: 3, axis: 10 },
    { groups: 103, count: 8, axis: 10 },
    { groups: 100, count: 4, axis: 25 },
  ])("hold each of $groups groups once, in about $count slices of axes up to $axis", ({ groups, count, axis }) => {
    const grid = foldedGrid(groups, axis);
    const slices = slicesOf(grid, count, axis);
    expect(slices.length).toBeLessThanOrEqual(Math.max(1, Math.ceil(count)));
    const seen = slices.flatMap(groupsOf);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.slice(0, groups)).toEqual(Array.from({ length: groups }, (_, at) => at));
    for (const [x, y, z] of slices.map((slice) => slice.grid)) {
      expect(Math.max(x, y)).toBeLessThanOrEqual(axis);
      expect(z).toBe(1);
    }
  });
});

describe.skipIf(adapterHere === undefined)("on an adapter", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  it("add to each place once, with as many extents as a kernel has", async () => {
    const size = 5 * 256 + 3;
    const extents = Array.from({ length: mostElementwiseExtents }, (_, at) => at + 1);
    const sum = extents.map((_, at) => `p.n${at}`).join(" + ");
    const fragment = { ...plainFragment, extents, result: `y[at] + f32(at * (${sum}))` };
    const launch = placeLaunch("counts", fragment, "at", size, "f32");
    const kernel = slicedKernel(launch.kernel);
    const steps = slicesOf(launch.grid, 4).map(({ first, grid }): { launch: Launch } => ({
      launch: { kernel, grid, params: [...launch.params, first] },
    }));
    expect(steps.length).toBe(3);
    const start = Float32Array.from({ length: size }, (_, at) => -at);
    const { y } = await runner.run(steps, { y: start }, ["y"]);
    const total = extents.reduce((a, b) => a + b);
    expect(y).toEqual(start.map((value, at) => value + at * total));
  });
});
