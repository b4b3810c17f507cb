import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../server/common/random.ts";
import { emulatedMatrices } from "../test/support/emulated-matrices.ts";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { type MatrixTile, matricesLaunch } from "./matmul/matrices.ts";
import { biasEpilogue, type MatmulShape } from "./matmul/shape.ts";
import { planMatmul } from "./matmul/variants.ts";
import { defineKernel, type Launch, plainFragment } from "./wgsl.ts";
import { WindowError, type Windows, windowedKernel } from "./windows.ts";

function bodyInWindows(body: string): string {
  const x = { name: "x", type: "f32", access: "read" } as const;
  const y = { name: "y", type: "f32", access: "read_write" } as const;
  const kernel = defineKernel({ name: "made up", bindings: [x, y], size: 1, body });
  const windows = new Map(["x", "y"].map((name) => [name, { count: 2, bytes: 256 }]));
  return windowedKernel(kernel, windows).code.split("let group = wg.x + wg.y * wgs.x;\n")[1]?.slice(0, -2) ?? "";
}

it("reaches each element through the window that it lies in", () => {
  expect(bodyInWindows("y[x[at] + 1u] = x[x[at]] + y[0];")).toBe("yPut(xAt(at) + 1u, xAt(xAt(at)) + yAt(0));");
  expect(bodyInWindows("y[at / 4u] += x[at] == y[at];")).toBe("yPut(at / 4u, yAt(at / 4u) + (xAt(at) == yAt(at)));");
  expect(bodyInWindows("if (y[at] == 1.0f) { let x = 2.0f; p.x[0] = max[x]; }")).toBe(
    "if (yAt(at) == 1.0f) { let x = 2.0f; p.x[0] = max[x]; }",
  );
  expect(bodyInWindows("y[at] = f32(3u & x[at]) + x[at][2];")).toBe("yPut(at, f32(3u & xAt(at)) + xAt(at)[2]);");
});

it("refuses what is no access to a whole element", () => {
  expect(() => bodyInWindows("store(&y, 1u);")).toThrow("kernel 'made up' takes the address of 'y'");
  expect(() => bodyInWindows("y[at][2] = 1.0f;")).toThrow("kernel 'made up' writes a part of an element of 'y'");
  const counter = { name: "n", type: "atomic<u32>", access: "read_write" } as const;
  const kernel = defineKernel({ name: "counts", bindings: [counter], size: 1, body: "" });
  expect(() => windowedKernel(kernel, new Map([["n", { count: 2, bytes: 256 }]]))).toThrow(WindowError);
});

it("leaves a kernel alone whose tensors are bound whole", () => {
  const kernel = defineKernel({ name: "as it is", bindings: [], size: 1, body: "" });
  expect(windowedKernel(kernel, new Map([["y", { count: 1, bytes: 256 }]]))).toBe(kernel);
});

type Buffers = Record<string, Float32Array<ArrayBuffer>>;

describe.skipIf(adapterHere === undefined)("on an adapter, to the same bytes", () => {
  let runner: KernelRunner;
  beforeAll(async () => {
    runner = await KernelRunner.open("here");
  });
  afterAll(() => runner.close());

  /** y of the launches with every buffer in one piece, and with every buffer of more than 16 bytes in two. */
  async function bothWays(launches: readonly Launch[], buffers: Buffers): Promise<void> {
    const whole = await runner.run(
      launches.map((launch) => ({ launch })),
      buffers,
      ["y"],
    );
    const windows = new Map<string, Windows>();
    const cut: Buffers = {};
    for (const [name, values] of Object.entries(buffers)) {
      const elements = 4 * Math.ceil(values.length / 8);
      windows.set(name, { count: 2, bytes: 4 * elements });
      cut[`${name}Window0`] = values.slice(0, elements);
      cut[`${name}Window1`] = values.slice(elements);
    }
    const steps = launches.map((launch) => ({ launch: { ...launch, kernel: windowedKernel(launch.kernel, windows) } }));
    const { yWindow0 = [], yWindow1 = [] } = await runner.run(steps, cut, ["yWindow0", "yWindow1"]);
    expect(whole["y"]?.some((value) => value !== 0)).toBe(true);
    expect(Float32Array.of(...yWindow0, ...yWindow1)).toEqual(whole["y"]);
  }

  const shape: MatmulShape = {
    batch: 1,
    M: 37,
    N: 36,
    K: 20,
    transA: false,
    transB: true,
    alpha: 0.5,
    sharedB: false,
  };
  const tile = { rows: 16, columns: 16, inner: 8, perRow: 4, perColumn: 4 };

  it.each([
    { N: 36, splits: 1 },
    { N: 37, splits: 3 },
  ])("products by tiles, $N columns in $splits parts, with a bias, added to what is there", async ({ N, splits }) => {
    const given = { ...shape, N };
    const finish = { epilogue: biasEpilogue(true), accumulate: true };
    const { steps, workspaces } = planMatmul(given, { kind: "tiles", tile, splits }, finish);
    const parts = Object.entries(workspaces).map(([name, size]) => [name, new Float32Array(size)] as const);
    const buffers = { a: normals(37 * 20, 1), b: normals(N * 20, 2), y: normals(37 * N, 3), bias: normals(N, 4) };
    await bothWays(
      steps.map(({ launch }) => launch),
      { ...buffers, ...Object.fromEntries(parts) },
    );
  });

  it("products by matrices whose results would be stored by whole matrices otherwise", async () => {
    const config = { componentType: "f32", resultComponentType: "f32", M: 8, N: 8, K: 4 };
    const own: MatrixTile = { config, subgroups: [2, 1], fragments: [1, 2], inner: 8, subgroupSize: 32, pinned: false };
    const given = { ...shape, M: 32, N: 32, transB: false };
    const options = { tile: own, precision: "f32", splits: 1, text: emulatedMatrices(config) } as const;
    const finish = { epilogue: plainFragment, accumulate: false };
    const launch = matricesLaunch(given, { ...options, ...finish, mostBytes: 1024 });
    expect(launch.kernel.code).toContain("staging");
    expect(matricesLaunch(given, { ...options, ...finish }).kernel.code).not.toContain("staging");
    await bothWays([launch], { a: normals(32 * 20, 1), b: normals(20 * 32, 2), y: new Float32Array(32 * 32) });
  });
});

function normals(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = Random.fromSeed(seed);
  return Float32Array.from({ length }, () => random.normal());
}
