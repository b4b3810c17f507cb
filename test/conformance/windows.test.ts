/**
 * Tensors larger than what an adapter binds at once, and work longer than what it is given at once, made so by lowering both: results are what they
 * are without windows and slices, byte for byte.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { f32ToBf16, f32ToF16 } from "../../server/common/floats.loops.ts";
import { Random } from "../../server/common/random.ts";
import type { AdamWOptions, Device, StateStore } from "../../server/engine/device.ts";
import { widenedValues } from "../../server/engine/fixed-entries.ts";
import {
  type Node,
  type OpKind,
  type Shape,
  sizeOf,
  topologicalOrder,
  type Values,
} from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { createOptimizer, gradientNormName } from "../../server/engine/optimizer.ts";
import type { WorkLimits } from "../../server/engine/webgpu/commands.ts";
import { createGpuDevice } from "../../server/engine/webgpu/device.ts";
import { checkOperator } from "./check-operator.ts";
import { gpuIsHere } from "./devices.ts";
import { type OperatorCase, readOperatorCases } from "./fixtures.ts";

const bindingBytes = 1024;
const [rows, columns] = [9, 67] as const;
const wide: Shape = [rows, columns];
const x = ops.input("x", wide);
const y = ops.input("y", wide);
const positive = ops.input("positive", wide);
const row = ops.input("row", [columns]);
const slopes = ops.input("slopes", [rows]);
const ids = ops.input("ids", [rows], "i32");
const few = ops.input("few", [rows, 4]);
const places = ops.input("places", [rows, 4], "i32");
const table = ops.input("table", [31, 23]);
const heads = ops.input("heads", [3, 5, 2, 22]);
const positions = ops.input("positions", [3, 5], "i32");
const norm = { eps: 1e-5 };
const turn = { rotaryDims: 16, base: 10_000, maxPositions: 64 };
const counted = ops.constant(
  wide,
  Float32Array.from({ length: rows * columns }, (_, at) => at),
);

/** One use of every operator with tensors above the limit. */
const examples: { readonly [K in OpKind]: Node } = {
  input: ops.negate(x),
  state: ops.affine(ops.state("w", wide), 2),
  constant: ops.affine(counted, 0.5),
  fill: ops.add(ops.fill(wide, 0.1), x),
  matmul: ops.matmul(x, y, { transB: true }),
  embedding: ops.embedding(table, ids),
  scatterAddRows: ops.scatterAddRows(table, ids, ops.input("added", [rows, 23])),
  embeddingBag: ops.embeddingBag(table, places, few),
  embeddingBagGradWeights: ops.make("embeddingBagGradWeights", [table, places, ops.input("added", [rows, 23])], {}),
  embeddingBagGradTable: ops.make("embeddingBagGradTable", [table, places, few, ops.input("added", [rows, 23])], {}),
  layerNorm: ops.layerNorm(x, row, row, norm.eps),
  layerNormGradX: ops.make("layerNormGradX", [x, row, y], norm),
  layerNormGradGamma: ops.make("layerNormGradGamma", [x, y], norm),
  rmsNorm: ops.rmsNorm(x, row, norm.eps),
  rmsNormGradX: ops.make("rmsNormGradX", [x, row, y], norm),
  rmsNormGradGamma: ops.make("rmsNormGradGamma", [x, y], norm),
  softmax: ops.softmax(x, "local", 20),
  softmaxGrad: ops.make("softmaxGrad", [positive, y], {}),
  logSoftmax: ops.logSoftmax(x),
  logSoftmaxGrad: ops.make("logSoftmaxGrad", [x, y], {}),
  gatherLogProbs: ops.gatherLogProbs(x, ids),
  gatherLogProbsGrad: ops.make("gatherLogProbsGrad", [x, ids, slopes], {}),
  rotary: ops.rotary(heads, positions, turn),
  gelu: ops.gelu(x),
  geluGrad: ops.make("geluGrad", [x, y], {}),
  geluTanh: ops.geluTanh(x),
  geluTanhGrad: ops.make("geluTanhGrad", [x, y], {}),
  relu: ops.relu(x),
  silu: ops.silu(x),
  sigmoid: ops.sigmoid(x),
  softplus: ops.softplus(x),
  tanh: ops.tanh(x),
  exp: ops.exp(x),
  log: ops.log(positive),
  sqrt: ops.sqrt(positive),
  square: ops.square(x),
  reciprocal: ops.reciprocal(positive),
  negate: ops.negate(x),
  abs: ops.abs(x),
  stopGradient: ops.stopGradient(x),
  add: ops.add(x, y),
  sub: ops.sub(x, row),
  mul: ops.mul(x, y),
  div: ops.div(x, positive),
  minimum: ops.minimum(x, y),
  maximum: ops.maximum(x, y),
  greater: ops.greater(x, y),
  where: ops.where(ops.greater(x, row), x, y),
  affine: ops.affine(x, 3, -1),
  clip: ops.clip(x, -0.5, 0.5),
  sum: ops.sum(x, { axes: [1] }),
  mean: ops.mean(ops.square(x)),
  max: ops.max(x, { axes: [0] }),
  reshape: ops.relu(ops.reshape(x, [columns, rows])),
  transpose: ops.transpose(x, [1, 0]),
  slice: ops.slice(x, 0, 2, 8),
  pad: ops.pad(x, 0, 1, 2),
  concat: ops.concat([x, ops.reshape(row, [1, columns])], 0),
  broadcastTo: ops.broadcastTo(row, wide),
  keepTopK: ops.keepTopK(ops.reshape(ops.slice(x, 0, 0, 8), [2, 4 * columns]), 20),
  topKValues: ops.topKValues(x, 3),
  topKIndices: ops.topKIndices(x, 3),
  gatherRow: ops.gatherRow(x, places),
  scatterRow: ops.scatterRow(few, places, columns),
  sampleRows: ops.sampleRows(ops.softmax(x), ops.input("uniforms", [rows]), ops.input("settings", [4])),
};

/** A dispatch for each workgroup, a submit for each dispatch. */
const workLimits: WorkLimits = { dispatch: 1, submit: 1 };

describe.skipIf(!gpuIsHere)("in windows and slices", () => {
  let whole: Device;
  let cut: Device;
  beforeAll(async () => {
    whole = await createGpuDevice();
    cut = await createGpuDevice({ maxBindingBytes: bindingBytes, workLimits });
  });
  afterAll(async () => {
    await whole.close();
    await cut.close();
  });

  it.each(Object.entries(examples))("%s", async (_, node) => {
    const nodes = topologicalOrder([node]);
    expect(Math.max(...nodes.map(({ shape }) => 4 * sizeOf(shape)))).toBeGreaterThan(bindingBytes);
    const expected = await resultOf(whole, node, nodes);
    expect(new Set(expected).size > 1 || node.shape.length === 0).toBe(true);
    expect(await resultOf(cut, node, nodes)).toEqual(expected);
  });
});

/** The graph with state in place of its F32 inputs. */
function onState(node: Node, known = new Map<Node, Node>()): Node {
  const same =
    known.get(node) ??
    (node.op === "input" && node.dtype === "f32"
      ? ops.state(node.attrs.name, node.shape)
      : node.inputs.length === 0
        ? node
        : ops.make(
            node.op,
            node.inputs.map((input) => onState(input, known)),
            node.attrs,
          ));
  known.set(node, same);
  return same;
}

describe.skipIf(!gpuIsHere)("with weights held as F16 or BF16, to the bytes that they give in F32", () => {
  let whole: Device;
  let cut: Device;
  beforeAll(async () => {
    whole = await createGpuDevice();
    cut = await createGpuDevice({ maxBindingBytes: bindingBytes });
  });
  afterAll(async () => {
    await whole.close();
    await cut.close();
  });

  it.each(Object.entries(examples).filter(([op]) => op !== "constant"))("%s", async (_, example) => {
    const node = onState(example);
    const nodes = topologicalOrder([node]);
    const states = nodes.flatMap(({ op, attrs, shape }) => (op === "state" ? [{ name: attrs.name, shape }] : []));
    expect(states.length).toBeGreaterThan(0);
    for (const [stored, device] of [
      ["bf16", whole],
      ["f16", whole],
      ["bf16", cut],
    ] as const) {
      const entries = states.map(({ name, shape }) => ({
        name,
        shape,
        stored,
        values: narrowed(valuesFor(name, shape), stored),
      }));
      const wide = entries.map(({ name, shape, values }) => ({ name, shape, values: widenedValues(stored, values) }));
      const expected = await onStore(whole, await whole.createState(wide), node, nodes);
      expect(new Set(expected).size > 1 || node.shape.length === 0).toBe(true);
      if (device.fixed === undefined) throw new TypeError("the GPU device has no fixed memory");
      expect(await onStore(device, await device.fixed.create(entries), node, nodes)).toEqual(expected);
    }
  });
});

function narrowed(values: Values, stored: "f16" | "bf16"): Uint16Array {
  const bits = new Uint16Array(values.length);
  ({ f16: f32ToF16, bf16: f32ToBf16 })[stored](Float32Array.from(values), bits);
  return bits;
}

async function resultOf(device: Device, node: Node, nodes: readonly Node[]): Promise<Values | undefined> {
  const w = { name: "w", shape: wide, values: valuesFor("w", wide) };
  return await onStore(device, await device.createState([w]), node, nodes);
}

/** A node's values, with state of this store, which is then freed. */
async function onStore(
  device: Device,
  store: StateStore,
  node: Node,
  nodes: readonly Node[],
): Promise<Values | undefined> {
  const program = await device.compile({ stores: [store], outputs: { node } });
  const inputs = nodes.flatMap(({ op, attrs, shape, dtype }) =>
    op === "input" ? [[attrs.name, valuesFor(attrs.name, shape, dtype)] as const] : [],
  );
  const results = await program.run(Object.fromEntries(inputs));
  await program.dispose();
  await store.dispose();
  return results["node"];
}

function valuesFor(name: string, shape: Shape, dtype: Node["dtype"] = "f32"): Values {
  const random = Random.fromSeed([...name].reduce((seed, letter) => 31 * seed + letter.charCodeAt(0), 7) % 2 ** 31);
  const length = sizeOf(shape);
  // No id is beyond the least of the tables, and one is there several times.
  if (dtype === "i32") return Int32Array.from({ length }, () => random.integer(23));
  // Top-k, top-p, greedy, ban.
  if (name === "settings") return Float32Array.of(20, 0.9, 0, 0);
  if (name === "positive" || name === "uniforms")
    return Float32Array.from({ length }, () => 0.01 + 0.98 * random.uniform());
  return Float32Array.from({ length }, () => random.normal());
}

/** The largest tensor of a case in two or three windows. */
function bindingBytesFor({ inputs, output }: OperatorCase): number {
  const largest = 4 * Math.max(...[...inputs, output].map(({ shape }) => sizeOf(shape)));
  return 256 * Math.max(1, Math.floor(largest / 256 / 2));
}

describe.skipIf(!gpuIsHere)("in windows, equal to PyTorch forward and backward", () => {
  // Angles for rotary are a table of their own, of more windows than an adapter binds.
  const cases = readOperatorCases().filter(
    ({ op, inputs, output }) => op !== "rotary" && [...inputs, output].some(({ shape }) => 4 * sizeOf(shape) > 256),
  );

  it.each([...Map.groupBy(cases, bindingBytesFor)])("%i bytes", async (maxBindingBytes, group) => {
    expect.hasAssertions();
    const device = await createGpuDevice({ maxBindingBytes });
    for (const example of group) await checkOperator(device, example);
    await device.close();
  });
});

const adamW: AdamWOptions = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  maxGradientNorm: 0.2,
};

it.skipIf(!gpuIsHere)(
  "a model is trained in windows and in slices to the same bytes, its large parameters stepped in parts",
  async () => {
    // Three blocks of the optimizer and a rest, then entries that share arenas.
    const shapes: Readonly<Record<string, Shape>> = {
      table: [129, 101],
      gamma: [101],
      projection: [101, 67],
      bias: [67],
    };
    const parameters = Object.entries(shapes).map(([name, shape]) => ({ name, shape }));
    const hidden = ops.rmsNorm(
      ops.embedding(ops.state("table", [129, 101]), ops.input("tokens", [40], "i32")),
      ops.state("gamma", [101]),
      1e-5,
    );
    const narrow = ops.add(ops.matmul(hidden, ops.state("projection", [101, 67])), ops.state("bias", [67]));
    const back = ops.matmul(ops.gelu(narrow), ops.state("projection", [101, 67]), { transB: true });
    const logits = ops.matmul(back, ops.state("table", [129, 101]), { transB: true });
    const loss = ops.crossEntropy(logits, ops.input("targets", [40], "i32"), ops.fill([40], 1));
    const train = async (limits: Parameters<typeof createGpuDevice>[0]): Promise<Record<string, Values>> => {
      const device = await createGpuDevice(limits);
      const store = await device.createState(
        parameters.map(({ name, shape }) => ({
          name,
          shape,
          values: valuesFor(name, shape).map((value) => 0.1 * value),
        })),
      );
      const optimizer = await createOptimizer(device, parameters);
      const stores = [store, optimizer.store];
      const program = await device.compile({ stores, outputs: { loss }, updates: [optimizer.update(loss)] });
      const found: Record<string, Values> = {};
      for (let step = 1; step <= 3; step++) {
        const tokens = { tokens: valuesFor(`tokens${step}`, [40], "i32"), targets: valuesFor("targets", [40], "i32") };
        const results = await program.run({ ...tokens, ...optimizer.inputsAt(step, adamW) });
        for (const [name, values] of Object.entries(results)) found[`${name} ${step}`] = values;
      }
      for (const held of stores) for (const name of held.names) found[name] = await held.read(name);
      await device.close();
      return found;
    };
    const expected = await train({});
    expect(expected[`${gradientNormName} 3`]?.[0]).toBeGreaterThan(adamW.maxGradientNorm);
    const maxBindingBytes = 2 ** 14 + 2 ** 13;
    for (const limits of [{ maxBindingBytes }, { workLimits }]) expect(await train(limits)).toEqual(expected);
  },
);
