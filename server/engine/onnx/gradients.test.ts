import { expect, it } from "vitest";
import { Random } from "../../common/random.ts";
import { createCpuDevice } from "../cpu/device.ts";
import { gradients } from "../gradients.ts";
import { type Node, sizeOf, topologicalOrder } from "../graph.ts";
import * as ops from "../ops.ts";
import { simplify } from "../simplify.ts";
import { Emitter } from "./emitter.ts";
import { lowerNode } from "./lowering.ts";
import type { OnnxNode } from "./model-writer.ts";

const random = Random.fromSeed(4);
const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());

/** The ONNX nodes that outputs need. */
function loweredFor(outputs: readonly Node[]): OnnxNode[] {
  const emitter = new Emitter();
  const roots = simplify(outputs);
  for (const node of topologicalOrder(roots)) {
    const isLeaf = node.op === "input" || node.op === "state";
    emitter.bind(node, isLeaf ? node.attrs.name : lowerNode(node, emitter));
  }
  return emitter.nodesFor(roots.map((root) => emitter.valueOf(root)));
}

async function valuesOf(outputs: Record<string, Node>, inputs: Record<string, Float32Array | Int32Array>) {
  const device = await createCpuDevice({ threads: 1 });
  const program = await device.compile({ stores: [], outputs });
  const values = await program.run(inputs);
  await device.close();
  return values;
}

// Two texts of three tokens; the second vocabulary is large enough for products in blocks.
it.each([9, 3072])("a head's gradients are those of plain sums in double precision: %s tokens", async (V) => {
  const [N, D] = [6, 5];
  const [hidden, head, weights] = [
    ops.input("hidden", [2, 3, D]),
    ops.input("head", [V, D]),
    ops.input("weights", [N]),
  ];
  const logits = ops.reshape(ops.matmul(hidden, head, { transB: true }), [N, V]);
  const loss = ops.sum(ops.mul(ops.gatherLogProbs(logits, ops.input("ids", [N], "i32")), weights));
  const [dHidden = loss, dHead = loss] = gradients(loss, [hidden, head]);
  const [h, w, slopes] = [normals(N * D), normals(V * D), normals(N)];
  const ids = Int32Array.from({ length: N }, (_, n) => (n * 7) % V);
  const got = await valuesOf({ dHidden, dHead }, { hidden: h, head: w, weights: slopes, ids });
  const [wantedHidden, wantedHead] = [new Float64Array(N * D), new Float64Array(V * D)];
  for (let n = 0; n < N; n++) {
    const scores = Float64Array.from({ length: V }, (_, v) =>
      Array.from({ length: D }, (__, d) => (h[n * D + d] ?? 0) * (w[v * D + d] ?? 0)).reduce((a, b) => a + b),
    );
    const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
    for (const [v, score] of scores.entries()) {
      const slope = (Number(v === ids[n]) - Math.exp(score) / total) * (slopes[n] ?? 0);
      for (let d = 0; d < D; d++) {
        wantedHidden[n * D + d] = (wantedHidden[n * D + d] ?? 0) + slope * (w[v * D + d] ?? 0);
        wantedHead[v * D + d] = (wantedHead[v * D + d] ?? 0) + slope * (h[n * D + d] ?? 0);
      }
    }
  }
  expect(farthest(got["dHidden"], wantedHidden)).toBeLessThan(1e-5);
  expect(farthest(got["dHead"], wantedHead)).toBeLessThan(1e-5);
});

it("a head's gradients take two passes over the logits besides the products: probabilities, and one number a row", () => {
  const [N, D, V] = [6, 5, 3072];
  const [hidden, head] = [ops.input("hidden", [N, D]), ops.input("head", [V, D])];
  const logits = ops.matmul(hidden, head, { transB: true });
  const loss = ops.sum(ops.gatherLogProbs(logits, ops.input("ids", [N], "i32")));
  const kinds = loweredFor(gradients(loss, [hidden, head])).map(({ op }) => op);
  expect(kinds.filter((op) => op === "LogSoftmax" || op === "Exp")).toEqual(["LogSoftmax", "Exp"]);
  expect(kinds.indexOf("Mul")).toBeGreaterThan(kinds.indexOf("ScatterElements"));
  // One of the hidden states for the head's gradient, one of their gradient.
  expect(kinds.filter((op) => op === "Mul")).toHaveLength(2);
});

it("the gradients of slices that fill an axis are one concatenation, in any order", async () => {
  const x = ops.input("x", [2, 6]);
  const [a, b, c] = [ops.slice(x, 1, 4, 6), ops.slice(x, 1, 0, 1), ops.slice(x, 1, 1, 4)];
  const loss = ops.add(ops.add(ops.sum(ops.affine(a, 2)), ops.sum(ops.affine(b, 3))), ops.sum(ops.affine(c, 5)));
  const [found = loss] = gradients(loss, [x]);
  expect(loweredFor([found]).map(({ op }) => op)).not.toContain("Pad");
  expect(loweredFor([found]).map(({ op }) => op)).toContain("Concat");
  const { found: values = [] } = await valuesOf({ found }, { x: normals(12) });
  expect([...values]).toEqual([3, 5, 5, 5, 2, 2, 3, 5, 5, 5, 2, 2]);
});

it("sums of sums of parts are looked at once each, however often they are summed", () => {
  const x = ops.input("x", [6]);
  // Terms by Fibonacci's numbers: 10^12 at the end. What overlaps is added.
  let [before, last] = [ops.pad(ops.slice(x, 0, 0, 2), 0, 0, 4), ops.pad(ops.slice(x, 0, 1, 3), 0, 0, 4)];
  for (let at = 0; at < 60; at++) [before, last] = [last, ops.add(before, last)];
  expect(loweredFor([last]).filter(({ op }) => op === "Add")).toHaveLength(60);
});

it.each([
  ["overlap", [0, 4], [2, 6], [2, 2, 5, 5, 3, 3]],
  ["leave a hole", [0, 2], [4, 6], [2, 2, 0, 0, 3, 3]],
  ["do not begin at the start", [1, 4], [4, 6], [0, 2, 2, 2, 3, 3]],
])("the gradients of slices that %s are added", async (_, first, second, expected) => {
  const x = ops.input("x", [6]);
  const sliceOf = ([start = 0, end = 0]: readonly number[]): Node => ops.slice(x, 0, start, end);
  const loss = ops.add(ops.sum(ops.affine(sliceOf(first), 2)), ops.sum(ops.affine(sliceOf(second), 3)));
  const [found = loss] = gradients(loss, [x]);
  const { found: values = [] } = await valuesOf({ found }, { x: normals(sizeOf(x.shape)) });
  expect([...values]).toEqual(expected);
});

function farthest(got: ArrayLike<number> | undefined, expected: Float64Array): number {
  return expected.reduce((most, value, at) => Math.max(most, Math.abs((got?.[at] ?? Number.NaN) - value)), 0);
}
