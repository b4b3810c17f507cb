import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { type DpoFixture, readDpoFixture } from "../../test/support/dpo-fixture.ts";
import { collected } from "../../test/support/saved-state.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { NonFiniteError } from "../engine/errors.ts";
import { gradients } from "../engine/gradients.ts";
import { type Node, sizeOf, type Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type LoadedModel, loadModel, readFloats } from "../models/checkpoint.ts";
import { addLora, linearTargets } from "../models/lora.ts";
import { forward, logitsOf, type Model, plainPositions, storesOf } from "../models/model.ts";
import { openSafetensors } from "../models/safetensors.ts";
import { createDpoTrainer, type DpoMetrics, type DpoTrainerOptions } from "./dpo.ts";
import { DpoConfig, type DpoLossConfig } from "./dpo-config.ts";
import { DpoCollapseError, TooFewPairsError } from "./dpo-errors.ts";
import { dpoLoss } from "./dpo-loss.ts";
import { mostShapesOf } from "./dpo-programs.ts";
import type { TokenPair } from "./token-pair.ts";
import { TrainerStateError, TuningModelError } from "./tuning-errors.ts";

const fixture = readDpoFixture();
const { settings } = fixture;

/** Cut as TRL cuts: prompt and answer together keep their first tokens. */
const pairs: TokenPair[] = fixture.pairs.map(({ prompt, chosen, rejected }) => {
  const cut = (answer: readonly number[]) => ({
    prompt: Int32Array.from(prompt),
    answer: Int32Array.from(answer.slice(0, settings.maxTokens - prompt.length)),
  });
  return { chosen: cut(chosen), rejected: cut(rejected) };
});

const config: DpoConfig = DpoConfig.parse({
  kind: "dpo",
  pairs: { from: "reward", prompts: 10, completions: 2, promptsAtOnce: 2 },
  steps: settings.steps,
  batchSize: settings.batchSize,
  pairsAtOnce: settings.batchSize,
  beta: 0.1,
  loss: { kind: "sigmoid", labelSmoothing: 0 },
  reference: "once",
  optimizer: "adamw",
  learningRate: settings.learningRate,
  warmupSteps: settings.warmupSteps,
  schedule: "linear",
  weightDecay: settings.weightDecay,
  maxGradientNorm: settings.maxGradientNorm,
  lora: null,
  stop: { window: 10, minMargin: -20, minChosenReward: -50 },
} satisfies DpoConfig);

let cpu: Device;
let folder = "";
beforeAll(async () => {
  cpu = await createCpuDevice({ threads: 1 });
});
afterAll(() => cpu.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-dpo-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe.each(devicesUnderTest)("on $kind", ({ kind, open }) => {
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it.each(fixture.losses)("losses and gradients equal torch's: $name", async (given) => {
    const P = given.chosen.length;
    const input = (name: string): Node => ops.input(name, [P]);
    const policy = { chosen: input("chosen"), rejected: input("rejected") };
    const nodes = dpoLoss(
      {
        policy,
        reference: { chosen: input("referenceChosen"), rejected: input("referenceRejected") },
        lengths: { chosen: input("chosenLengths"), rejected: input("rejectedLengths") },
      },
      { beta: given.beta, loss: lossOf(given) },
    );
    const [chosenGradient, rejectedGradient] = gradients(nodes.loss, [policy.chosen, policy.rejected]);
    if (chosenGradient === undefined || rejectedGradient === undefined) throw new Error("no gradient");
    const program = await device.compile({
      stores: [],
      outputs: { loss: nodes.loss, chosenGradient, rejectedGradient },
    });
    const got = await program.run({
      chosen: Float32Array.from(given.chosen),
      rejected: Float32Array.from(given.rejected),
      referenceChosen: Float32Array.from(given.referenceChosen),
      referenceRejected: Float32Array.from(given.referenceRejected),
      chosenLengths: Float32Array.from(given.lengths[0]),
      rejectedLengths: Float32Array.from(given.lengths[1]),
    });
    const near = { absolute: 1e-6, relative: 1e-5 };
    expectClose("loss", got["loss"] ?? [], [given.expected.loss], near);
    expectClose("gradient of chosen", got["chosenGradient"] ?? [], given.expected.chosenGradient, near);
    expectClose("gradient of rejected", got["rejectedGradient"] ?? [], given.expected.rejectedGradient, near);
    await program.dispose();
  });

  it.each(fixture.runs)("steps equal those of TRL's trainer, and so do the weights after 20: $name", async (run) => {
    const trainer = await createDpoTrainer(await optionsOf(device, { beta: run.beta, loss: lossOf(run) }));
    // A software GPU takes a second a step.
    for (const expected of run.steps.slice(0, kind === "cpu" ? 20 : 4))
      expectStep((await trainer.step()).metrics, expected);
    if (!trainer.done) return await trainer.dispose();
    await trainer.save(folder);
    await using saved = await openSafetensors(join(folder, "model.safetensors"));
    for (const [name, values] of Object.entries(run.final)) {
      const all = await saved.readFloat32(name);
      expectClose(name, all.subarray(0, values.length), values, { absolute: 2e-4, relative: 0 });
    }
    await trainer.dispose();
  });

  it.each(fixture.adapters.runs)("steps of adapters equal those of TRL's trainer with PEFT: $name", async (run) => {
    const { lora } = fixture.adapters;
    const options = await adaptedOptions(device, {
      beta: run.beta,
      loss: lossOf(run),
      learningRate: lora.learningRate,
    });
    const { adapters } = options.policy;
    expect(new Set(adapters.store.names)).toEqual(new Set(Object.keys(run.initial)));
    for (const [name, values] of Object.entries(run.initial))
      await adapters.store.write(name, Float32Array.from(values));
    const before = await readAll(options.reference);
    const trainer = await createDpoTrainer(options);
    for (const expected of run.steps.slice(0, kind === "cpu" ? 20 : 4))
      expectStep((await trainer.step()).metrics, expected);
    if (trainer.done)
      for (const [name, values] of Object.entries(run.final))
        expectClose(name, await readFloats(adapters.store, name), values, { absolute: 2e-4, relative: 1e-4 });
    expect(await readAll(options.reference)).toEqual(before);
    await trainer.dispose();
  });

  it("pairs in two halves a step, and a reference that is read for every batch, come to the same", async () => {
    const run = fixture.runs[0];
    const trainer = await createDpoTrainer(await optionsOf(device, { pairsAtOnce: 2, reference: "live" }));
    for (const expected of run?.steps.slice(0, kind === "cpu" ? 6 : 3) ?? [])
      expectStep((await trainer.step()).metrics, expected);
    await trainer.dispose();
  });
});

describe("a trainer", () => {
  it("goes on from a saved state with the same bits", async () => {
    const whole = await createDpoTrainer(await optionsOf(cpu, { steps: 8 }, { order: "shuffled" }));
    const expected: DpoMetrics[] = [];
    while (!whole.done) expected.push((await whole.step()).metrics);
    const first = await createDpoTrainer(await optionsOf(cpu, { steps: 8 }, { order: "shuffled" }));
    const got = [(await first.step()).metrics, (await first.step()).metrics, (await first.step()).metrics];
    const saved = await collected(first.state());
    const second = await createDpoTrainer(await optionsOf(cpu, { steps: 8 }, { order: "shuffled" }), saved);
    expect(second.steps).toBe(3);
    while (!second.done) got.push((await second.step()).metrics);
    expect(got).toEqual(expected);
    for (const trainer of [whole, first, second]) await trainer.dispose();
  });

  it("reads small batches in a smaller shape than large ones, with the same results", async () => {
    const tokens = (length: number, from: number) => Int32Array.from({ length }, (_, at) => 1 + ((from + 7 * at) % 96));
    const sized = Array.from({ length: 24 }, (_, at): TokenPair => {
      const length = at === 20 ? 12 : 2;
      const side = (from: number) => ({ prompt: tokens(length, at), answer: tokens(length, from + at) });
      return { chosen: side(31), rejected: side(57) };
    });
    const found: DpoMetrics[][] = [];
    const shapes: number[] = [];
    for (const pairsAtOnce of [2, 1]) {
      let programs = 0;
      const counting: Device = {
        ...cpu,
        kind: cpu.kind,
        description: cpu.description,
        createState: (...given) => cpu.createState(...given),
        close: () => cpu.close(),
        compile: (spec) => {
          programs += Number("loss" in spec.outputs);
          return cpu.compile(spec);
        },
      };
      const options = await optionsOf(
        cpu,
        { steps: 12, batchSize: 2, pairsAtOnce, reference: "live" },
        { pairs: sized },
      );
      const trainer = await createDpoTrainer({ ...options, device: counting });
      const metrics: DpoMetrics[] = [];
      while (!trainer.done) metrics.push((await trainer.step()).metrics);
      await trainer.dispose();
      found.push(metrics);
      shapes.push(programs);
    }
    expect(shapes).toEqual([2, 2]);
    for (const [at, one] of found[0]?.entries() ?? []) {
      const other = found[1]?.[at];
      const near = { absolute: 1e-4, relative: 1e-4 };
      expectClose(`loss of step ${at + 1}`, [one.loss], [other?.loss ?? Number.NaN], near);
      expectClose(`norm of step ${at + 1}`, [one.gradientNorm], [other?.gradientNorm ?? Number.NaN], near);
    }
  });

  it("keeps one shape where logits are large, whose activations would take the memory of several", () => {
    const shape = { tokens: 2000, rowPlaces: 300, textPlaces: 256 };
    expect(mostShapesOf({ vocabSize: 50_304 }, { ...shape, scoredPlaces: 1300 })).toBe(1);
    expect(mostShapesOf({ vocabSize: 4096 }, { ...shape, scoredPlaces: 1300 })).toBe(3);
  });

  it("gives the same bits with adapters on the reference's weights as with a reference of its own, read once or live", async () => {
    const bits: DpoMetrics[][] = [];
    for (const reference of ["once", "live"] as const) {
      for (const own of [false, true]) {
        const options = await adaptedOptions(cpu, { steps: 4, reference });
        const trainer = await createDpoTrainer(
          own ? { ...options, reference: await loadModel(cpu, modelFolder("gpt-neox")) } : options,
        );
        const got: DpoMetrics[] = [];
        while (!trainer.done) got.push((await trainer.step()).metrics);
        bits.push(got);
        await trainer.dispose();
      }
    }
    expect(bits[1]).toEqual(bits[0]);
    expect(bits[3]).toEqual(bits[2]);
    for (const [at, { loss }] of bits[0]?.entries() ?? []) expect(loss).toBeCloseTo(bits[2]?.[at]?.loss ?? 0, 5);
    expect(bits[0]?.[3]?.loss).not.toBe(bits[0]?.[0]?.loss);
  });

  it("goes on with adapters from a saved state with the same bits, and saves only what it trains", async () => {
    const whole = await createDpoTrainer(await adaptedOptions(cpu, { steps: 6 }));
    const expected: DpoMetrics[] = [];
    while (!whole.done) expected.push((await whole.step()).metrics);
    const options = await adaptedOptions(cpu, { steps: 6 });
    const first = await createDpoTrainer(options);
    const got = [(await first.step()).metrics, (await first.step()).metrics];
    const saved = await collected(first.state());
    const trained = options.policy.adapters.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    expect((await saved.read("tensors.f32")).length).toBe(4 * 3 * trained);
    const second = await createDpoTrainer(await adaptedOptions(cpu, { steps: 6 }), saved);
    while (!second.done) got.push((await second.step()).metrics);
    expect(got).toEqual(expected);
    for (const trainer of [whole, first, second]) await trainer.dispose();
  });

  it("saves adapters merged, and beside them as PEFT reads them, with the same logits", async () => {
    const options = await adaptedOptions(cpu, { steps: 4, learningRate: 1e-2 });
    const trainer = await createDpoTrainer(options);
    while (!trainer.done) await trainer.step();
    const live = await logitsOn(options.policy);
    await trainer.save(folder);
    const merged = await loadModel(cpu, folder);
    const adapted = await loadModel(cpu, join(folder, "adapter"));
    expect(merged.adapted).toBeUndefined();
    expect(adapted.adapted?.weights).toBe(6);
    expect(adapted.adapted?.deltaNorm).toBeGreaterThan(0.01);
    expect(await logitsOn(adapted)).toEqual(await logitsOn(merged));
    expectClose("logits", await logitsOn(merged), live, { absolute: 1e-5, relative: 1e-5 });
    expect(live).not.toEqual(await logitsOn(options.reference));
    await trainer.dispose();
  });

  it("takes every pair once an epoch, in an order of the seed's", async () => {
    const few = pairs.slice(0, 8);
    const seen: number[][] = [];
    for (const seed of [1, 1, 2]) {
      const trainer = await createDpoTrainer(
        await optionsOf(
          cpu,
          { steps: 4, reference: "live" },
          { order: "shuffled", pairs: few, random: Random.fromSeed(seed) },
        ),
      );
      const tokens: number[] = [];
      while (!trainer.done) tokens.push((await trainer.step()).metrics.tokens);
      seen.push(tokens);
      await trainer.dispose();
    }
    const all = few.reduce((sum, { chosen, rejected }) => sum + chosen.answer.length + rejected.answer.length, 0);
    for (const tokens of seen)
      for (const epoch of [tokens.slice(0, 2), tokens.slice(2)]) expect(epoch.reduce((a, b) => a + b, 0)).toBe(all);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).not.toEqual(seen[0]);
  });

  it("learns from pairs without a prompt, whose first token nothing predicts", async () => {
    const bare = pairs.map(({ chosen, rejected }) => ({
      chosen: { ...chosen, prompt: new Int32Array() },
      rejected: { ...rejected, prompt: new Int32Array() },
    }));
    const trainer = await createDpoTrainer(await optionsOf(cpu, { steps: 20 }, { pairs: bare.slice(0, 4) }));
    let last: DpoMetrics | undefined;
    while (!trainer.done) last = (await trainer.step()).metrics;
    expect(last?.["rewards/accuracies"]).toBe(1);
    expect(last?.loss).toBeLessThan(0.68);
    await trainer.dispose();
  });

  it("stops where what was chosen is no longer said, and keeps nothing of it", async () => {
    const trainer = await createDpoTrainer(
      await optionsOf(cpu, { steps: 20, stop: { window: 2, minMargin: -20, minChosenReward: -1e-9 } }),
    );
    await expect(async () => {
      while (!trainer.done) await trainer.step();
    }).rejects.toThrow(DpoCollapseError);
    await expect(trainer.step()).rejects.toThrow(/mean implicit reward of chosen answers is -0\.0\d+, below the bound/);
    expect(() => trainer.state()).toThrow(DpoCollapseError);
    await trainer.dispose();
  });

  it("stops where the margin has collapsed: chosen and rejected the wrong way round", async () => {
    // The reference likes each chosen answer ten nats more than the policy does, so every margin starts at beta times -10.
    const trainer = await createDpoTrainer(
      await optionsOf(cpu, {
        steps: 20,
        learningRate: 1e-6,
        stop: { window: 3, minMargin: -0.5, minChosenReward: -50 },
      }),
    );
    const before = await collected(trainer.state());
    const reference = Float32Array.from({ length: 2 * pairs.length }, (_, at) => (at % 2 === 0 ? -20 : -30));
    await trainer.restore({
      state: before.state,
      read: async (name) => (name === "reference.f32" ? new Uint8Array(reference.buffer) : await before.read(name)),
    });
    const margins: number[] = [];
    await expect(async () => {
      while (!trainer.done) margins.push((await trainer.step()).metrics["rewards/margins"]);
    }).rejects.toThrow(
      /step \d+: the mean margin of chosen over rejected answers is -\d+\.\d+, below the bound of -0\.5/,
    );
    expect(margins.length).toBeGreaterThanOrEqual(2);
    await expect(trainer.save(folder)).rejects.toThrow(DpoCollapseError);
    await trainer.dispose();
  });

  it("stops at a loss that is no number, and keeps the last good state", async () => {
    const trainer = await createDpoTrainer(await optionsOf(cpu, { steps: 20 }));
    const good = await collected(trainer.state());
    const reference = new Float32Array(2 * pairs.length).fill(Number.NaN);
    await trainer.restore({
      state: good.state,
      read: async (name) => (name === "reference.f32" ? new Uint8Array(reference.buffer) : await good.read(name)),
    });
    await expect(trainer.step()).rejects.toThrow(NonFiniteError);
    await expect(trainer.step()).rejects.toThrow(NonFiniteError);
    expect(() => trainer.state()).toThrow(NonFiniteError);
    await trainer.restore(good);
    expect((await trainer.step()).metrics.loss).toBeCloseTo(Math.log(2), 4);
    await trainer.dispose();
  });

  it("refuses settings that contradict each other, with their place", () => {
    const path = (changes: object): unknown => DpoConfig.safeParse({ ...config, ...changes }).error?.issues[0]?.path;
    expect(path({})).toBeUndefined();
    expect(path({ pairsAtOnce: 3 })).toEqual(["pairsAtOnce"]);
    expect(path({ warmupSteps: 20 })).toEqual(["warmupSteps"]);
  });

  it("refuses models and pairs that do not belong together", async () => {
    const options = await optionsOf(cpu);
    await expect(createDpoTrainer({ ...options, reference: options.policy })).rejects.toThrow(TuningModelError);
    const own = { prompt: Int32Array.of(2), answer: Int32Array.of(3) };
    const foreign = [...pairs.slice(0, 3), { chosen: own, rejected: { ...own, answer: Int32Array.of(97) } }];
    await expect(createDpoTrainer({ ...options, pairs: foreign })).rejects.toThrow(/pair 3 has a token id/);
    await expect(createDpoTrainer({ ...options, pairs: pairs.slice(0, 3) })).rejects.toThrow(TooFewPairsError);
  });

  it("refuses the state of other pairs", async () => {
    const trainer = await createDpoTrainer(await optionsOf(cpu));
    const saved = await collected(trainer.state());
    await expect(createDpoTrainer(await optionsOf(cpu, {}, { pairs: pairs.slice(0, 40) }), saved)).rejects.toThrow(
      TrainerStateError,
    );
    await trainer.dispose();
  });
});

async function optionsOf(
  device: Device,
  changes: Partial<DpoConfig> = {},
  options: Partial<Omit<DpoTrainerOptions, "reference">> = {},
): Promise<DpoTrainerOptions & { readonly reference: LoadedModel }> {
  const reference = await loadModel(device, modelFolder("gpt-neox"));
  return {
    device,
    policy: await loadModel(device, modelFolder("gpt-neox")),
    reference,
    pairs,
    config: DpoConfig.parse({ ...config, ...changes }),
    random: Random.fromSeed(1),
    order: "given",
    ...options,
  };
}

/** Options with adapters of the fixture's settings on the reference's own weights. */
async function adaptedOptions(device: Device, changes: Partial<DpoConfig> = {}) {
  const { rank, alpha, targets } = fixture.adapters.lora;
  const options = await optionsOf(device, changes);
  const { reference } = options;
  const lora = { rank, alpha, targets: linearTargets(reference, targets) };
  return { ...options, reference, policy: await addLora(device, reference, lora, Random.fromSeed(2)) };
}

async function readAll({ store }: Model): Promise<Float32Array[]> {
  return await Promise.all(store.names.map((name) => readFloats(store, name)));
}

async function logitsOn(model: Model): Promise<Values> {
  const shape = [1, 8] as const;
  const logits = logitsOf(model, forward(model, { shape }).hidden);
  const program = await cpu.compile({ stores: storesOf(model), outputs: { logits } });
  const ids = Int32Array.of(2, 3, 5, 7, 11, 13, 17, 19);
  const results: Partial<Record<string, Values>> = await program.run({ ids, positions: plainPositions(shape) });
  await program.dispose();
  return results["logits"] ?? new Float32Array();
}

function lossOf({ name, labelSmoothing }: Pick<DpoFixture["runs"][number], "name" | "labelSmoothing">): DpoLossConfig {
  return name === "hinge" || name === "ipo" ? { kind: name } : { kind: "sigmoid", labelSmoothing };
}

function expectStep(got: DpoMetrics, expected: DpoFixture["runs"][number]["steps"][number]): void {
  const named = {
    loss: got.loss,
    rewardsChosen: got["rewards/chosen"],
    rewardsRejected: got["rewards/rejected"],
    rewardsMargins: got["rewards/margins"],
    rewardsAccuracies: got["rewards/accuracies"],
    logpsChosen: got["logps/chosen"],
    logpsRejected: got["logps/rejected"],
    gradientNorm: got.gradientNorm,
    learningRate: got.learningRate,
  };
  for (const [name, value] of Object.entries(expected)) {
    // Before anything is learned both rewards are zero, and rounding decides which is larger.
    if (name === "rewardsAccuracies" && expected.rewardsMargins === 0) continue;
    const found = Object.entries(named).find(([key]) => key === name)?.[1] ?? Number.NaN;
    expectClose(`step ${got.step}: ${name}`, [found], [value], { absolute: 1e-4, relative: 1e-4 });
  }
}
