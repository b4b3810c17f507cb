import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import type { Device } from "../../server/engine/device.ts";
import { gradients } from "../../server/engine/gradients.ts";
import { type Node, sizeOf, topologicalOrder, type Values } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { shapeRules } from "../../server/engine/shapes.ts";
import { buildCase } from "./check-operator.ts";
import { expectClose } from "./close-to.ts";
import { devicesUnderTest } from "./devices.ts";
import { readOperatorCases } from "./fixtures.ts";

/** Operators without stored values. All are linear in x, so a finite difference is exact but for rounding. */
const linear: readonly { name: string; shape: readonly number[]; build: (x: Node) => Node }[] = [
  { name: "pad", shape: [3, 5], build: (x) => ops.pad(x, 1, 2, 3) },
  {
    name: "scatterRow",
    shape: [3, 2],
    build: (x) => ops.scatterRow(x, ops.constant([3, 2], Int32Array.of(4, 0, 2, 2, 1, 3)), 5),
  },
  {
    name: "scatterAddRows into a base",
    shape: [4, 3],
    build: (x) => ops.scatterAddRows(x, ops.constant([2], Int32Array.of(1, 1)), ops.fill([2, 3], 2)),
  },
  {
    name: "scatterAddRows of rows, inside a graph",
    shape: [3, 2],
    build: (x) => ops.affine(ops.scatterAddRows(ops.fill([4, 2], 1), ops.constant([3], Int32Array.of(3, 0, 3)), x), 2),
  },
];

describe.each(devicesUnderTest)("the other operators on $kind", ({ open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it.each(linear)("$name agrees with finite differences", async ({ shape, build }) => {
    const random = Random.fromSeed(7);
    const draw = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
    const x = ops.input("x", shape);
    const output = build(x);
    const loss = ops.sum(ops.mul(output, ops.input("w", output.shape)));
    const [gradient = x] = gradients(loss, [x]);
    const program = await device.compile({ stores: [], outputs: { loss, gradient } });
    const point = draw(sizeOf(shape));
    const w = draw(sizeOf(output.shape));
    const lossAt = async (values: Values): Promise<number> =>
      (await program.run({ x: values, w }))["loss"]?.[0] ?? Number.NaN;
    const differences = [];
    for (let at = 0; at < point.length; at++) {
      const [above, below] = [1, -1].map((step) => point.with(at, (point[at] ?? 0) + step));
      differences.push(((await lossAt(above ?? point)) - (await lossAt(below ?? point))) / 2);
    }
    expectClose("gradient", (await program.run({ x: point, w }))["gradient"], differences, {
      absolute: 1e-5,
      relative: 1e-5,
    });
  });

  it("a step trained straight through has its own value and the sigmoid's gradient", async () => {
    const x = ops.input("x", [4]);
    const soft = ops.sigmoid(x);
    const hard = ops.greater(x, ops.fill([], 0));
    const step = ops.add(soft, ops.stopGradient(ops.sub(hard, soft)));
    const [gradient = x] = gradients(ops.sum(ops.mul(step, ops.input("w", [4]))), [x]);
    const program = await device.compile({ stores: [], outputs: { step, gradient } });
    const [at, w] = [
      [-2, -0.5, 0.25, 3],
      [1, 2, -3, 4],
    ] as const;
    const found = await program.run({ x: Float32Array.from(at), w: Float32Array.from(w) });
    expectClose("value", found["step"], [0, 0, 1, 1], { absolute: 1e-7, relative: 0 });
    const slopes = at.map((value, place) => (w[place] ?? 0) / (2 + Math.exp(value) + Math.exp(-value)));
    expectClose("gradient", found["gradient"], slopes, { absolute: 1e-6, relative: 1e-6 });
  });

  it("topKIndices gives the places of the largest entries, falling", async () => {
    const x = ops.input("x", [2, 5]);
    const program = await device.compile({ stores: [], outputs: { ids: ops.topKIndices(x, 3) } });
    const { ids } = await program.run({ x: Float32Array.of(1, 9, 3, 7, 5, -1, -5, -2, -4, -3) });
    expect([...(ids ?? [])]).toEqual([1, 3, 4, 0, 2, 4]);
  });
});

it("no operator is without a check", () => {
  const seen = new Set<string>(["state", "topKIndices", "sampleRows"]);
  const see = (node: Node, inputs: readonly Node[]): void => {
    const loss = ops.sum(ops.mul(node, ops.input("w", node.shape)));
    const wanted = inputs.filter((input) => input.dtype === "f32");
    const found = ["greater", "where"].includes(node.op) ? [] : gradients(loss, wanted);
    for (const { op } of topologicalOrder([loss, ...found])) seen.add(op);
  };
  for (const example of readOperatorCases()) {
    const inputs = example.inputs.map(({ shape, dtype }, index) => ops.input(`x${index}`, shape, dtype));
    see(buildCase(example, inputs), inputs);
  }
  for (const { shape, build } of linear) {
    const x = ops.input("x", shape);
    see(build(x), [x]);
  }
  // `state` is checked by every model, `sampleRows` in test/unit/sampling.test.ts.
  expect(Object.keys(shapeRules).filter((op) => !seen.has(op))).toEqual([]);
});
