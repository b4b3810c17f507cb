import { describe, expect, it } from "vitest";
import { matmulPlaceReference } from "../../kernels/matmul/reference.loops.ts";
import type { MatmulShape } from "../../kernels/matmul/shape.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import { gradients } from "../../server/engine/gradients.ts";
import * as ops from "../../server/engine/ops.ts";
import { devicesUnderTest, matrixDevices } from "./devices.ts";

/** Large enough for the kernels that large products take, also on a software adapter; multiples of no tile. */
const [B, T, D, F] = [2, 150, 130, 260];
const random = Random.fromSeed(1);
const normals = (length: number): Float32Array<ArrayBuffer> => Float32Array.from({ length }, () => random.normal());

function shapeOf(more: Partial<MatmulShape>): MatmulShape {
  return { batch: 1, M: 1, N: 1, K: 1, transA: false, transB: false, alpha: 1, sharedB: false, ...more };
}

/** All places of a product, and how far from each a result may be when factors are off by a share. */
function placesOf(shape: MatmulShape, a: Float32Array, b: Float32Array, factorError: number) {
  const { batch, M, N } = shape;
  return Array.from({ length: batch * M * N }, (_, at) =>
    matmulPlaceReference(
      shape,
      a,
      b,
      { item: Math.floor(at / (M * N)), row: Math.floor(at / N) % M, column: at % N },
      factorError,
    ),
  );
}

function expectWithin(
  what: string,
  got: ArrayLike<number> | undefined,
  expected: readonly { value: number; bound: number }[],
): void {
  const worst = expected.reduce((most, { value, bound }, at) => {
    const share = Math.abs((got?.[at] ?? Number.NaN) - value) / bound;
    return share <= most ? most : share;
  }, 0);
  expect(worst, `${what}: error as a share of what rounding explains`).toBeLessThanOrEqual(1);
}

const devices = [...devicesUnderTest.map((device) => ({ ...device, factorError: 1e-7 })), ...matrixDevices];

describe.each(devices)("large products on the $kind device", ({ open, factorError }) => {
  const product = (shape: MatmulShape, a: Float32Array, b: Float32Array) => placesOf(shape, a, b, factorError);

  it("are right forward and backward, with a bias and ReLU after them", async () => {
    const [x, weight, bias, seed] = [normals(B * T * D), normals(F * D), normals(F), normals(B * T * F)];
    const rows = B * T;
    const plain = product(shapeOf({ M: rows, N: F, K: D, transB: true }), x, weight);
    const before = plain.map(({ value, bound }, at) => ({ value: value + (bias[at % F] ?? 0), bound }));
    // Where a sum is nearly zero, rounding may decide whether ReLU lets it through: such places are given no weight.
    const slopes = before.map(({ value, bound }, at) =>
      Math.abs(value) < Math.max(1e-3, bound) ? 0 : (seed[at] ?? 0),
    );
    const through = Float32Array.from(before, ({ value }, at) => (value > 0 ? (slopes[at] ?? 0) : 0));

    const device = await open();
    const [nodeX, nodeWeight] = [ops.input("x", [B, T, D]), ops.input("weight", [F, D])];
    const y = ops.relu(ops.linear(nodeX, nodeWeight, ops.input("bias", [F])));
    const loss = ops.sum(ops.mul(y, ops.input("slopes", [B, T, F])));
    const [dX, dWeight] = gradients(loss, [nodeX, nodeWeight]);
    const program = await device.compile({
      stores: [],
      outputs: { y, ...(dX === undefined || dWeight === undefined ? {} : { dX, dWeight }) },
    });
    const results = await program.run({ x, weight, bias, slopes: Float32Array.from(slopes) });
    await device.close();

    const relu = before.map(({ value, bound }) => ({ value: Math.max(0, value), bound: bound + 1e-6 }));
    expectWithin("the result", results["y"], relu);
    expectWithin("the gradient of x", results["dX"], product(shapeOf({ M: rows, N: D, K: F }), through, weight));
    const back = shapeOf({ M: F, N: D, K: rows, transA: true });
    expectWithin("the gradient of the weight", results["dWeight"], product(back, through, x));
  });

  it("are right in batches with a second factor for each, scaled", async () => {
    const [heads, places, width] = [4, 170, 90];
    const [query, key] = [normals(heads * places * width), normals(heads * places * width)];
    const device = await open();
    const [q, k] = [ops.input("q", [heads, places, width]), ops.input("k", [heads, places, width])];
    const scores = ops.matmul(q, k, { transB: true, alpha: 0.125 });
    const program = await device.compile({ stores: [], outputs: { scores } });
    const results = await program.run({ q: query, k: key });
    await device.close();
    const shape = shapeOf({ batch: heads, M: places, N: places, K: width, transB: true, alpha: 0.125 });
    expectWithin("scores", results["scores"], product(shape, query, key));
  });
});

/** Enough rows for blocks of them: in 6 blocks of 512, 8 of 393, 9 of 393, 521 of 29, and of no size that divides a prime. */
const manyRows = [3072, 3144, 3537, 15109, 3079];

describe("a product whose transposed factor has many columns, on the CPU device", () => {
  it.each(manyRows)("of %d rows has the bits of products of few rows, and the right ones", async (M) => {
    const [K, N] = [200, 10];
    const [a, b] = [normals(K * M), normals(K * N)];
    const [nodeA, nodeB] = [ops.input("a", [K, M]), ops.input("b", [K, N])];
    const product = (from: ReturnType<typeof ops.input>) => ops.matmul(from, nodeB, { transA: true, alpha: 0.5 });
    const starts = Array.from({ length: 3 }, (_, third) => Math.floor((third * M) / 3));
    const parts = starts.map((start, at) => product(ops.slice(nodeA, 1, start, starts[at + 1] ?? M)));
    const whole = product(nodeA);
    const device = await createCpuDevice({ threads: 2 });
    const outputs = { whole, sum: ops.sum(ops.reshape(whole, [M * N])), parts: ops.concat(parts, 0) };
    const program = await device.compile({ stores: [], outputs });
    const results = await program.run({ a, b });
    await device.close();
    expect(results["whole"]).toEqual(results["parts"]);
    const expected = placesOf(shapeOf({ M, N, K, transA: true, alpha: 0.5 }), a, b, 1e-7);
    expectWithin("the product", results["whole"], expected);
  });
});
