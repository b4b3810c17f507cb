import { expect, it } from "vitest";
import { gpuIsHere } from "../../../test/conformance/devices.ts";
import type { Node } from "../graph.ts";
import * as ops from "../ops.ts";
import { createGpuDevice } from "./device.ts";
import type { MatmulChoice } from "./lowering-types.ts";
import { planProgram } from "./planner.ts";

const plainAdapter = {
  software: false,
  subgroups: undefined,
  matrices: [],
  workgroupStorage: 16_384,
  invocations: 256,
};
const matmul: MatmulChoice = { adapter: plainAdapter, precision: "f32", tuned: {} };

const x = ops.input("x", [2, 3, 5]);
const bias = ops.input("bias", [5]);
const gate = ops.input("gate", [3, 1]);
/** max(0, x + bias) / (1 + exp(-gate)), between 0 and 0.5, transposed. */
const chain = ops.transpose(ops.clip(ops.mul(ops.relu(ops.add(x, bias)), ops.sigmoid(gate)), 0, 0.5), [2, 0, 1]);

function kernelsOf(outputs: Record<string, Node>, choice = matmul): string[] {
  return planProgram({ outputs }, choice).steps.map(({ launch }) => launch.kernel.name);
}

it("makes one kernel of a chain of elementwise operators, broadcasting and transposing on the way", () => {
  const { steps } = planProgram({ outputs: { chain } }, matmul);
  // What would be computed over and over, for every place that it is broadcast to, is computed once before.
  expect(steps.map(({ values }) => values.map(({ size }) => size))).toEqual([
    [3, 3],
    [30, 5, 3, 30],
  ]);
  expect(steps[1]?.launch.params).toMatchInlineSnapshot(`
    [
      30,
      3,
      2,
      15,
      5,
    ]
  `);
  expect(steps[1]?.launch.kernel.code).toMatchInlineSnapshot(`
    "@group(0) @binding(0) var<storage, read> x0: array<f32>;
    @group(0) @binding(1) var<storage, read> x1: array<f32>;
    @group(0) @binding(2) var<storage, read> x2: array<f32>;
    @group(0) @binding(3) var<storage, read_write> y: array<f32>;
    struct Params { size: u32, n0: u32, n1: u32, n2: u32, n3: u32 }
    var<immediate> p: Params;


    @compute @workgroup_size(256)
    fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) lane: u32) {
      let group = wg.x + wg.y * wgs.x;

      let at = group * 256u + lane;
      if (at >= p.size) { return; }
      let t0 = at % p.n0;
      let t1 = at / p.n0;
      let t2 = t1 % p.n1;
      let t3 = t1 / p.n1;
      let t4 = t2 * p.n2 + t0 * p.n3 + t3;
      let t5 = x0[t4];
      let t6 = x1[t3];
      let t7 = t5 + t6;
      let t8 = select(t7, 0.0f, t7 < 0.0f);
      let t9 = x2[t0];
      let t10 = t8 * t9;
      let t11 = min(max(t10, 0f), 0.5f);
      y[at] = t11;
    }"
  `);
});

it.skipIf(!gpuIsHere)("and it computes what the operators say", async () => {
  const device = await createGpuDevice();
  const program = await device.compile({ stores: [], outputs: { chain } });
  const values = {
    x: Float32Array.from({ length: 30 }, (_, at) => ((at * 7) % 11) / 5 - 1),
    bias: Float32Array.of(-0.5, -0.25, 0, 0.25, 0.5),
    gate: Float32Array.of(-2, 0.5, 3),
  };
  const { chain: y = [] } = await program.run(values);
  await device.close();
  const expected: number[] = [];
  for (let d = 0; d < 5; d++)
    for (let b = 0; b < 2; b++)
      for (let t = 0; t < 3; t++) {
        const before = Math.max(0, (values.x[(b * 3 + t) * 5 + d] ?? 0) + (values.bias[d] ?? 0));
        expected.push(Math.min(0.5, before / (1 + Math.exp(-(values.gate[t] ?? 0)))));
      }
  for (const [at, value] of expected.entries()) expect(y[at]).toBeCloseTo(value, 6);
});

it("lets a product take in what follows it, and a reduction what comes before it", () => {
  const weight = ops.input("weight", [300, 200]);
  const large = ops.input("large", [400, 200]);
  const affine = ops.relu(ops.linear(large, weight, ops.input("shift", [300])));
  expect(kernelsOf({ affine })).toEqual([expect.stringMatching(/^matmul A Bt /)]);
  const squares = ops.sum(ops.square(ops.sub(x, bias)), { axes: [2] });
  expect(kernelsOf({ squares })).toEqual([expect.stringMatching(/^sum over /)]);
});

it("brings factors to the range of halves before matrix units take them, and only then", () => {
  const adapter = {
    ...plainAdapter,
    workgroupStorage: 49_152,
    subgroups: { min: 32, max: 32 },
    matrices: [{ componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 }],
  };
  const product = ops.matmul(ops.input("a", [512, 512]), ops.input("b", [512, 512]));
  const scales = ["largestMagnitude", "halfScale", "largestMagnitude", "halfScale"];
  const half = kernelsOf({ product }, { ...matmul, adapter, precision: "half" });
  expect(half.slice(0, 4)).toEqual(scales);
  expect(half[4]).toMatch(/^matmul A B .* f16 matrices$/);
  expect(kernelsOf({ product }, { ...matmul, adapter }).join()).not.toContain("matrices");
});
