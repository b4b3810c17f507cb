/** How programs become launches: what is fused, what shares memory, and that whole models compile with no driver at all. */
import { expect, it } from "vitest";
import { modelFolder } from "../../../test/conformance/fixtures.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { parseConfig } from "../../models/config.ts";
import { Generator } from "../../models/generate.ts";
import { modelOf } from "../../models/model.ts";
import { nextTokenLoss } from "../../models/next-token-loss.ts";
import { ppoLoss } from "../../tuning/ppo-loss.ts";
import type { Device } from "../device.ts";
import { gradients } from "../gradients.ts";
import { type Node, topologicalOrder } from "../graph.ts";
import * as ops from "../ops.ts";
import { createOptimizer, type Optimizer } from "../optimizer.ts";
import { layOut } from "./arenas.ts";
import { createGpuDevice } from "./device.ts";
import { planProgram } from "./planner.ts";
import { assignBuffers } from "./pool.ts";
import { type Step, unlimited, type Value } from "./values.ts";

const choice = {
  adapter: { software: false, subgroups: undefined, matrices: [], workgroupStorage: 16_384, invocations: 256 },
  precision: "f32",
  tuned: {},
} as const;

const namesOf = (outputs: Parameters<typeof planProgram>[0]["outputs"]): string[] =>
  planProgram({ outputs }, choice).steps.map(({ launch }) => launch.kernel.name);

it("computes a chain of elements in one kernel, and what two read once", () => {
  const [x, w] = [ops.input("x", [6, 4]), ops.state("w", [4])];
  const chain = ops.geluTanh(ops.affine(ops.add(ops.mul(x, w), ops.fill([], 2)), 0.5, 1));
  const plan = planProgram({ outputs: { y: chain } }, choice);
  expect(plan.steps.map(({ launch }) => launch.kernel.code)).toMatchSnapshot();
  expect(plan.steps[0]?.launch.params).toEqual([24, 4]);
  const shared = ops.exp(x);
  expect(namesOf({ a: ops.relu(shared), b: ops.square(shared) })).toEqual(["fused exp", "fused relu", "fused square"]);
});

it("computes what comes after a product in the product's kernel, and operands of sums as they are read", () => {
  const [x, w, bias] = [ops.input("x", [6, 4]), ops.state("w", [5, 4]), ops.state("bias", [5])];
  const wide = ops.gelu(ops.linear(x, w, bias));
  expect(namesOf({ wide })).toEqual(["small matmul A Bt"]);
  expect(namesOf({ error: ops.mean(ops.square(ops.sub(wide, ops.input("goal", [6, 5])))) })).toEqual([
    "small matmul A Bt",
    "sum over rows",
  ]);
  const heads = ops.transpose(ops.reshape(ops.slice(x, 1, 0, 2), [2, 3, 2]), [1, 0, 2]);
  expect(namesOf({ heads: ops.affine(heads, 2) })).toEqual(["fused affine"]);
});

it("reads at most as many buffers in a kernel as every adapter binds", () => {
  const parts = Array.from({ length: 14 }, (_, at) => ops.exp(ops.input(`x${at}`, [8])));
  const plan = planProgram({ outputs: { sum: parts.reduce((a, b) => ops.add(a, b)) } }, choice);
  expect(plan.steps.length).toBeGreaterThan(1);
  for (const { launch } of plan.steps) expect(launch.kernel.bindings.length).toBeLessThanOrEqual(8);
});

it("gives memory that nobody reads any more to what comes after, and never to what is still read", () => {
  let x = ops.input("x", [64, 64]);
  const kept = ops.softmax(x);
  for (let layer = 0; layer < 12; layer++) x = ops.softmax(ops.affine(x, 2));
  const plan = planProgram({ outputs: { y: ops.add(x, kept) } }, choice);
  const { sizes, bufferOf } = assignBuffers(plan.steps, new Set(plan.outputs.map(({ value }) => value)));
  expect(sizes.length).toBeLessThanOrEqual(4);
  expectNoClash(plan.steps, bufferOf);
});

it("lays gradients that only the optimizer reads one after another", async () => {
  const device = await createGpuDevice({ compileOnly: true });
  const model = await loadModel(device, modelFolder("gpt-neox"));
  const optimizer = await createOptimizer(device, model.parameters);
  const loss = nextTokenLoss(model, [2, 7]);
  const plan = planProgram({ outputs: { loss }, updates: [optimizer.update(loss)] }, choice);
  const [update] = plan.updates;
  if (update?.kind !== "adamW") throw new TypeError("the plan has no optimizer");
  const places = layOut(
    plan.gradients.map(({ shape }) => ({ name: "", shape })),
    unlimited,
  ).places.map(({ arena, offset }) => (arena === 0 ? offset : Number.NaN));
  expect(places.every((offset) => offset % 256 === 0)).toBe(true);
  const offsets = update.parameters.map(({ gradient }) =>
    gradient.place.kind === "gradient" ? (places[gradient.place.index] ?? Number.NaN) : Number.NaN,
  );
  // Parallel branches have biases with one gradient between them.
  const distinct = [...new Set(offsets)];
  expect(distinct).toEqual(distinct.toSorted((x, y) => x - y));
  expect(distinct.length).toBe(new Set(update.parameters.map(({ gradient }) => gradient)).size);
  expect(distinct).toEqual(places);
  expectNoClash(plan.steps, assignBuffers(plan.steps, new Set(plan.outputs.map(({ value }) => value))).bufferOf);
  await device.close();
});

/** What transient values of a training step take, in MiB. */
function trainingMebibytes(loss: Node, optimizer: Optimizer): number {
  const plan = planProgram({ outputs: { loss }, updates: [optimizer.update(loss)] }, choice);
  const kept = new Set(plan.outputs.map(({ value }) => value));
  return assignBuffers(plan.steps, kept).sizes.reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20;
}

it("holds the logits of a training step once, and no more of them than 128 MiB", async () => {
  const none = { createState: async () => ({ names: [] }) } as unknown as Device;
  const pythia = parseConfig(
    {
      model_type: "gpt_neox",
      vocab_size: 50_304,
      hidden_size: 512,
      intermediate_size: 2048,
      num_hidden_layers: 6,
      num_attention_heads: 8,
      max_position_embeddings: 2048,
      rotary_pct: 0.25,
      layer_norm_eps: 1e-5,
      hidden_act: "gelu",
      use_parallel_residual: true,
    },
    "config.json",
  );
  const model = modelOf(pythia, await none.createState([]));
  const optimizer = await createOptimizer(none, model.parameters);
  // Of 508 rows the logits take 97.5 MiB, of 4064 779.9 MiB.
  const few = trainingMebibytes(nextTokenLoss(model, [4, 128]), optimizer);
  const many = trainingMebibytes(nextTokenLoss(model, [32, 128]), optimizer);
  expect(few - 97.5).toBeLessThan(155);
  expect(many).toBeLessThan(8 * (few - 97.5) + 128);
});

it("makes no tensor of logits in PPO's step either, nor of their gradient", () => {
  const [places, D, V] = [200, 8, 50];
  const states = ops.input("states", [places, D]);
  const given = (name: string): Node => ops.input(name, [places]);
  const logits = ops.linear(ops.affine(states, 2), ops.state("head", [V, D]));
  const { loss } = ppoLoss(
    {
      logProbs: ops.gatherLogProbs(logits, ops.input("targets", [places], "i32")),
      values: ops.sum(states, { axes: [1] }),
      oldLogProbs: given("oldLogProbs"),
      oldValues: given("oldValues"),
      advantages: given("advantages"),
      returns: given("returns"),
      mask: given("mask"),
    },
    { clipRange: 0.2, valueClipRange: 0.2, valueCoefficient: 0.1, ratioThreshold: 10 },
  );
  const [dHead = loss] = gradients(
    loss,
    [...topologicalOrder([loss])].filter(({ op }) => op === "state"),
  );
  const sizesWith = (mostLogits: number): { readonly largest: number; readonly kernels: readonly string[] } => {
    const { steps } = planProgram({ outputs: { loss, dHead } }, choice, { mostLogits });
    const sizes = steps.flatMap(({ values }) => values.map(({ size }) => size));
    return { largest: Math.max(...sizes), kernels: steps.map(({ launch }) => launch.kernel.name) };
  };
  const whole = sizesWith(places * V);
  const parts = sizesWith(64 * V);
  expect(whole.largest).toBe(places * V);
  expect(parts.largest).toBe(64 * V);
  const count = (names: readonly string[], name: string): number => names.filter((own) => own === name).length;
  // Once computed and once more, where its gradient waits for the ratio of every token.
  expect(count(parts.kernels, "gatherLogProbs")).toBe(4);
  expect(count(parts.kernels, "gatherLogProbs in place")).toBe(4);
  expect(count(parts.kernels, "small matmul A Bt")).toBe(8);
  expect(count(whole.kernels, "small matmul A Bt")).toBe(1);
  expect([...whole.kernels, ...parts.kernels]).not.toContain("gatherLogProbsGrad");
});

it.each([
  "gpt-neox",
  "gpt-neo",
  "gpt2",
  "gemma",
  "gemma2",
  "gemma3",
  "llama",
  "mistral",
  "olmo2",
  "qwen2",
  "qwen3",
] as const)("compiles all of %s without a driver: training and sampling", async (name) => {
  const device = await createGpuDevice({ compileOnly: true });
  const model = await loadModel(device, modelFolder(name));
  const optimizer = await createOptimizer(device, model.parameters);
  const loss = nextTokenLoss(model, [2, 7]);
  const stores = [model.store, optimizer.store];
  const program = await device.compile({ stores, outputs: { loss }, updates: [optimizer.update(loss)] });
  const generator = await Generator.create(device, model, { batch: 2, promptTokens: 3, maxNewTokens: 2 });
  await generator.dispose();
  await program.dispose();
  await device.close();
});

it("compiles products that are no small ones, with what comes after them, without a driver", async () => {
  const device = await createGpuDevice({ compileOnly: true });
  const [a, b] = [ops.input("a", [3, 260, 130]), ops.input("b", [3, 130, 257])];
  const product = ops.matmul(a, b);
  const y = ops.gelu(ops.add(product, ops.input("bias", [257])));
  const [dA = a, dB = b] = gradients(ops.sum(y), [a, b]);
  const deep = ops.matmul(ops.input("p", [40, 4096]), ops.input("q", [4096, 33]));
  await (await device.compile({ stores: [], outputs: { y, dA, dB, deep } })).dispose();
  await device.close();
});

/** Two values of one buffer are never there at once. */
function expectNoClash(steps: readonly Step[], bufferOf: ReadonlyMap<Value, number>): void {
  const last = new Map<Value, number>();
  for (const [at, { values }] of steps.entries()) for (const value of values) last.set(value, at);
  const holder = new Map<number, Value>();
  for (const [at, { values }] of steps.entries()) {
    for (const value of values) {
      const buffer = bufferOf.get(value);
      if (buffer === undefined) continue;
      const before = holder.get(buffer);
      if (before !== undefined && before !== value) expect(last.get(before)).toBeLessThan(at);
      holder.set(buffer, value);
    }
  }
}
