import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16 } from "../server/common/floats.loops.ts";
import { Random } from "../server/common/random.ts";
import { emulatedMatrices } from "../test/support/emulated-matrices.ts";
import { adapterHere } from "../test/support/software-gpu.ts";
import { KernelRunner } from "../test/support/webgpu-runner.ts";
import { type MatrixTile, matricesLaunch } from "./matmul/matrices.ts";
import { biasEpilogue, type MatmulShape } from "./matmul/shape.ts";
import { planMatmul } from "./matmul/variants.ts";
import { type Binding, defineKernel, type Kernel, type Launch, plainFragment } from "./wgsl.ts";
import type { NarrowFloat } from "./widen.ts";
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

it("widens each read of narrow values, in the window that has them", () => {
  const x = { name: "x", type: "f32", access: "read" } as const;
  const kernel = defineKernel({ name: "reads", bindings: [x], size: 1, body: "let a = x[at];" });
  const windows = { count: 2, bytes: 256, stored: "bf16" } as const;
  const { code, bindings } = windowedKernel(kernel, new Map([["x", windows]]));
  expect(bindings.map(({ name, type }) => [name, type])).toEqual([
    ["xWindow0", "u32"],
    ["xWindow1", "u32"],
  ]);
  // 64 words of two values in the first window.
  expect(code).toContain("if (place < 64u) { return xWindow0[place]; }\n  return xWindow1[place - 64u];");
  expect(code).toContain("return widenBf16((xBits(place / 2u) >> (16u * (place % 2u))) & 0xffffu);");
});

it("refuses narrow values that a kernel writes, or reads as integers", () => {
  const inBf16 = new Map([["x", { count: 1, bytes: 256, stored: "bf16" } as const]]);
  const bound = (binding: Pick<Binding, "type" | "access">): Kernel =>
    defineKernel({ name: "made up", bindings: [{ name: "x", ...binding }], size: 1, body: "" });
  const writes = bound({ type: "f32", access: "read_write" });
  expect(() => windowedKernel(writes, inBf16)).toThrow("'x', of f32 to read_write, cannot be bound as bf16");
  const counts = bound({ type: "u32", access: "read" });
  expect(() => windowedKernel(counts, inBf16)).toThrow("'x', of u32 to read, cannot be bound as bf16");
});

it("leaves a kernel alone whose tensors are bound whole", () => {
  const kernel = defineKernel({ name: "as it is", bindings: [], size: 1, body: "" });
  expect(windowedKernel(kernel, new Map([["y", { count: 1, bytes: 256 }]]))).toBe(kernel);
});

/** Tensors in one window each, of values in this form. */
function inOneWindow(stored: Readonly<Record<string, NarrowFloat>>): Map<string, Windows> {
  return new Map(
    Object.entries(stored).map(([name, form]) => [name, { count: 1, bytes: Number.POSITIVE_INFINITY, stored: form }]),
  );
}

type Values = Float32Array<ArrayBuffer>;
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

  it.each(["f16", "bf16"] as const)("every value of %s is widened to its bits in F32", async (stored) => {
    const halves = Uint16Array.from({ length: 2 ** 16 }, (_, at) => at);
    const body = "let at = group * 64u + lane; y[at] = bitcast<u32>(x[at]);";
    const bindings = [
      { name: "x", type: "f32", access: "read" },
      { name: "y", type: "u32", access: "read_write" },
    ] as const;
    const kernel = defineKernel({ name: "bits", bindings, size: 64, body });
    const launch: Launch = {
      kernel: windowedKernel(kernel, inOneWindow({ x: stored })),
      params: [],
      grid: [1024, 1, 1],
    };
    const buffers = { xWindow0: new Uint32Array(halves.buffer), y: new Uint32Array(halves.length) };
    const { y = new Float32Array() } = await runner.run([{ launch }], buffers, ["y"]);
    const expected = new Float32Array(halves.length);
    (stored === "f16" ? f16ToF32 : bf16ToF32)(halves, expected, 0);
    expect(new Uint32Array(y.buffer)).toEqual(new Uint32Array(expected.buffer));
  });

  /** y of the launches with the values of `b` in BF16, and with the same values in F32. */
  async function narrowAndWide(launches: readonly Launch[], { b, ...rest }: Buffers & { b: Values }): Promise<void> {
    const bits = new Uint16Array(2 * Math.ceil(b.length / 2));
    f32ToBf16(b, bits);
    const wide = new Float32Array(b.length);
    bf16ToF32(bits.subarray(0, b.length), wide, 0);
    const plain = launches.map((launch) => ({ launch }));
    const narrow = launches.map((launch) => {
      return { launch: { ...launch, kernel: windowedKernel(launch.kernel, inOneWindow({ b: "bf16" })) } };
    });
    const expected = await runner.run(plain, { ...rest, b: wide }, ["y"]);
    const found = await runner.run(narrow, { ...rest, bWindow0: new Uint32Array(bits.buffer) }, ["y"]);
    expect(expected["y"]?.some((value) => value !== 0)).toBe(true);
    expect(found["y"]).toEqual(expected["y"]);
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
    const launches = steps.map(({ launch }) => launch);
    await bothWays(launches, { ...buffers, ...Object.fromEntries(parts) });
    await narrowAndWide(launches, { ...Object.fromEntries(parts), ...buffers });
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
    const buffers = { a: normals(32 * 20, 1), b: normals(20 * 32, 2), y: new Float32Array(32 * 32) };
    await bothWays([launch], buffers);
    await narrowAndWide([launch], buffers);
  });
});

function normals(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = Random.fromSeed(seed);
  return Float32Array.from({ length }, () => random.normal());
}
