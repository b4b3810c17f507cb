/** Log-probabilities of one id a row, whose logits a device may hold some rows at a time, against loops in double precision. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../server/common/random.ts";
import type { Device } from "../../server/engine/device.ts";
import { gradients } from "../../server/engine/gradients.ts";
import type { Node } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { createGpuDevice } from "../../server/engine/webgpu/device.ts";
import { expectClose } from "./close-to.ts";
import { devicesUnderTest, gpuIsHere } from "./devices.ts";

/** N rows of D numbers, V ids. */
interface Extents {
  readonly N: number;
  readonly D: number;
  readonly V: number;
}

const extents: readonly Extents[] = [
  { N: 1, D: 1, V: 1 },
  { N: 3, D: 7, V: 5 },
  { N: 64, D: 5, V: 33 },
  { N: 129, D: 3, V: 37 },
  { N: 200, D: 9, V: 67 },
];
/** No more than the fewest rows: 64. */
const fewRows = { kind: "gpu, few logits at once", open: () => createGpuDevice({ mostLogits: 1 }) } as const;
const tolerance = { absolute: 2e-6, relative: 1e-5 };
const alpha = 0.75;

describe.each([...devicesUnderTest, ...(gpuIsHere ? [fewRows] : [])])("logits of $kind", ({ open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it.each(extents)("$N rows of $D, $V ids: forward alone, and gradients that wait for it or do not", async (size) => {
    expect.hasAssertions();
    const given = values(size);
    const { h, W, ids, weights } = nodes(size);
    const logProbs = ops.gatherLogProbs(ops.matmul(h, W, { transB: true, alpha }), ids);
    const losses = {
      crossEntropy: ops.negate(ops.sum(ops.mul(logProbs, weights))),
      likelihood: ops.sum(ops.mul(ops.exp(logProbs), weights)),
    };
    for (const [name, loss] of Object.entries(losses)) {
      const [dH = h, dW = W] = gradients(loss, [h, W]);
      const plain = reference(given, size, name === "likelihood" ? (logProb) => Math.exp(logProb) : () => -1);
      for (const outputs of [{ logProbs }, { logProbs, dH, dW }, { dW }] satisfies Record<string, Node>[]) {
        const program = await device.compile({ stores: [], outputs });
        const results = await program.run(given);
        for (const output of Object.keys(outputs))
          expectClose(`${name}: ${output}`, results[output], plain[output] ?? [], tolerance);
        await program.dispose();
      }
    }
  });

  it("adds the gradient of a head onto the same table's gradient as an embedding", async () => {
    const size = { N: 130, D: 4, V: 11 };
    const { W, ids, weights } = nodes(size);
    const h = ops.embedding(W, ids);
    const loss = ops.sum(ops.mul(ops.gatherLogProbs(ops.matmul(h, W, { transB: true, alpha }), ids), weights));
    const [dW = W] = gradients(loss, [W]);
    const given = values(size);
    const rows = Array.from(given.ids).flatMap((id) => [...given.W.subarray(id * size.D, (id + 1) * size.D)]);
    const { dH, dW: ofHead } = reference({ ...given, h: Float32Array.from(rows) }, size, () => 1);
    const expected = ofHead.slice();
    for (const [n, id] of given.ids.entries())
      for (let d = 0; d < size.D; d++)
        expected[id * size.D + d] = (expected[id * size.D + d] ?? 0) + (dH[n * size.D + d] ?? 0);
    const program = await device.compile({ stores: [], outputs: { dW } });
    const { W: table, ids: chosen, weights: each } = given;
    expectClose("dW", (await program.run({ W: table, ids: chosen, weights: each }))["dW"], expected, tolerance);
  });
});

function nodes({ N, D, V }: Extents) {
  return {
    h: ops.input("h", [N, D]),
    W: ops.input("W", [V, D]),
    ids: ops.input("ids", [N], "i32"),
    weights: ops.input("weights", [N]),
  };
}

function values({ N, D, V }: Extents) {
  const random = Random.fromSeed(N);
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return {
    h: normals(N * D),
    W: normals(V * D),
    ids: Int32Array.from({ length: N }, () => random.integer(V)),
    weights: Float32Array.from({ length: N }, () => random.uniform()),
  };
}

/** `slope`: of a row's term in the loss, by its log-probability, before its weight. */
function reference(
  { h, W, ids, weights }: ReturnType<typeof values>,
  { N, D, V }: Extents,
  slope: (logProb: number) => number,
): { [K in "logProbs" | "dH" | "dW"]: Float64Array } & Record<string, Float64Array> {
  const found = { logProbs: new Float64Array(N), dH: new Float64Array(N * D), dW: new Float64Array(V * D) };
  const dims = Array.from({ length: D }, (_, d) => d);
  for (const [n, id] of ids.entries()) {
    const at = (table: ArrayLike<number>, row: number, d: number): number => table[row * D + d] ?? Number.NaN;
    const logits = Array.from({ length: V }, (_, v) =>
      dims.reduce((sum, d) => sum + alpha * at(h, n, d) * at(W, v, d), 0),
    );
    const logTotal = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const logProb = (logits[id] ?? Number.NaN) - logTotal;
    found.logProbs[n] = logProb;
    const dY = slope(logProb) * (weights[n] ?? Number.NaN);
    for (const [v, logit] of logits.entries()) {
      const dZ = alpha * ((v === id ? 1 : 0) - Math.exp(logit - logTotal)) * dY;
      for (const d of dims) {
        found.dH[n * D + d] = at(found.dH, n, d) + dZ * at(W, v, d);
        found.dW[v * D + d] = at(found.dW, v, d) + dZ * at(h, n, d);
      }
    }
  }
  return found;
}
