import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { type PpoRun, readPpoFixture } from "../../test/support/ppo-fixture.ts";
import { collected } from "../../test/support/saved-state.ts";
import { tinyOptions, tinyTokenizer } from "../../test/support/tiny-ppo.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel, readFloats } from "../models/checkpoint.ts";
import { type AdaptedModel, addLora, linearTargets } from "../models/lora.ts";
import { openSafetensors } from "../models/safetensors.ts";
import { plainReward, type Reward } from "../rewards/reward.ts";
import { createPpoTrainer, PpoTrainer, type PpoTrainerOptions } from "./ppo.ts";
import { NegativeKlError, NonFiniteRewardError, RunawayKlError } from "./ppo-errors.ts";
import { compilePrograms } from "./ppo-programs.ts";
import { checkKl } from "./ppo-signal.ts";
import { promptBatches } from "./prompts.ts";
import type { Sampler } from "./rollout.ts";
import type { SavedState } from "./trainer-state.ts";
import { TrainerStateError, TuningModelError } from "./tuning-errors.ts";

let device: Device;
let folder = "";
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-ppo-"));
});
afterEach(() => rm(folder, { recursive: true }));

it("raises the reward it is given, and stays at the reference before it has learned", async () => {
  const trainer = await createPpoTrainer(await tinyOptions(device));
  const rewards: number[] = [];
  while (trainer.done < trainer.steps) {
    const { metrics, samples } = await trainer.step();
    if (metrics.step === 1) {
      expect(Math.abs(metrics.kl)).toBeLessThan(1e-3);
      expect(metrics.entropy).toBeGreaterThan(3);
      // Some 180 tokens: what is sampled from is what is scored.
      expect(Math.abs(metrics.surprisal - metrics.entropy)).toBeLessThan(0.4);
    }
    expect(samples).toHaveLength(32);
    expectClose("mean reward", [metrics.rewardMean], [meanOf(samples.map(({ reward }) => reward))], exactly);
    rewards.push(metrics.rewardMean);
  }
  expect(meanOf(rewards.slice(0, 2))).toBeLessThan(0.6);
  expect(meanOf(rewards.slice(-2))).toBeGreaterThan(0.75);
  await trainer[Symbol.asyncDispose]();
});

describe.each(devicesUnderTest)("two steps equal PyTorch's, on given completions, on $kind", ({ open }) => {
  const { run } = readPpoFixture();
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  it("metrics and weights", async () => {
    const options = await runOptions(run);
    const [first, second] = [await trainerOn(options, run, 0), await trainerOn(options, run, 1)];
    const steps = [(await first.step()).metrics];
    // The second trainer shares the models; the rest comes from the state of the first.
    await second.restore(await collected(first.capture()));
    steps.push((await second.step()).metrics);
    for (const [index, expected] of run.steps.entries()) {
      for (const [name, value] of Object.entries(expected)) {
        const got = Object.entries(steps[index] ?? {}).find(([key]) => key === name)?.[1] ?? Number.NaN;
        expectClose(`step ${index + 1}: ${name}`, [got], [value], { absolute: 2e-5, relative: 1e-4 });
      }
    }
    await second.save(folder);
    await using saved = await openSafetensors(join(folder, "model.safetensors"));
    for (const [name, values] of Object.entries(run.final))
      expectClose(name, await saved.readFloat32(name), values, { absolute: 1e-4, relative: 0 });
    await second[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
  });

  async function runOptions({ settings, batches }: PpoRun): Promise<PpoTrainerOptions> {
    const { kl, promptTokens, newTokens, ...rest } = settings;
    const batchSize = batches[0]?.length ?? 0;
    const options = await tinyOptions(device, {
      ...rest,
      kl: { mode: "adaptive", ...kl },
      batchSize,
      miniBatchSize: batchSize,
      sampling: { promptTokens: { min: 1, max: promptTokens }, newTokens: { min: newTokens, max: newTokens } },
    });
    const scores = new Map(
      batches.flat().map(({ prompt, completion, score }) => [textOf([...prompt, ...withoutEos(completion)]), score]),
    );
    const reward = plainReward("test/given", "full", (text) => scores.get(text) ?? Number.NaN);
    return { ...options, reward };
  }

  async function trainerOn(options: PpoTrainerOptions, { batches, valueHead }: PpoRun, at: number) {
    const batch = batches[at] ?? [];
    const programs = await compilePrograms(options);
    await programs.head.store.write("v_head.summary.weight", Float32Array.from(valueHead.weight));
    await programs.head.store.write("v_head.summary.bias", Float32Array.from(valueHead.bias));
    const completions = new Map(batch.map(({ prompt, completion }) => [textOf(prompt), completion]));
    const sampler: Sampler = {
      generate: async (prompts) =>
        prompts.map((prompt) => {
          const completion = completions.get(textOf(prompt)) ?? [];
          const ended = completion.includes(eos);
          const ids = Int32Array.from(withoutEos(completion));
          return { ids, stoppedAtEos: ended, endId: ended ? eos : undefined };
        }),
      dispose: async () => {},
    };
    const prompts = batch.map(({ prompt }, textIndex) => ({
      ids: Int32Array.from(prompt),
      text: textOf(prompt),
      textIndex,
    }));
    const order = promptBatches(prompts, batch.length, options.random.state);
    return new PpoTrainer(options, { ...programs, sampler }, order);
  }
});

describe("resuming", () => {
  it("goes on from the middle with the same bits, whatever seed the new trainer was made with", async () => {
    const uncut = await createPpoTrainer(await tinyOptions(device));
    const metrics = [(await uncut.step()).metrics, (await uncut.step()).metrics];
    const middle = await collected(uncut.capture());
    metrics.push((await uncut.step()).metrics, (await uncut.step()).metrics);
    const end = await collected(uncut.capture());

    const resumed = await createPpoTrainer(await tinyOptions(device, { seed: 99 }));
    await resumed.step();
    await resumed.restore(middle);
    expect(resumed.done).toBe(2);
    expect([(await resumed.step()).metrics, (await resumed.step()).metrics]).toEqual(metrics.slice(2));
    const again = await collected(resumed.capture());
    expect(again.state).toEqual(end.state);
    expect(Buffer.compare(await again.read("tensors.f32"), await end.read("tensors.f32"))).toBe(0);
    expect(Buffer.compare(await middle.read("tensors.f32"), await end.read("tensors.f32"))).not.toBe(0);
    await uncut[Symbol.asyncDispose]();
    await resumed[Symbol.asyncDispose]();
  });

  it("goes on with adapters with the same bits, and changes nothing else of the model", async () => {
    const adapted = async (): Promise<PpoTrainerOptions & { readonly policy: AdaptedModel }> => {
      const options = await tinyOptions(device);
      const lora = { rank: 2, alpha: 4, targets: linearTargets(options.reference, "all-linear") };
      const policy = await addLora(device, options.policy, lora, Random.fromSeed(3));
      return { ...options, policy, reference: options.policy };
    };
    const options = await adapted();
    const weights = (): Promise<Float32Array> => readFloats(options.policy.store, embedding);
    const before = await weights();
    const uncut = await createPpoTrainer(options);
    const { metrics: start } = await uncut.step();
    expect(Math.abs(start.kl)).toBeLessThan(1e-3);
    const metrics = [start];
    const middle = await collected(uncut.capture());
    metrics.push((await uncut.step()).metrics, (await uncut.step()).metrics);
    expect(await weights()).toEqual(before);
    expect(metrics[2]?.kl).not.toBe(0);
    const resumed = await createPpoTrainer(await adapted());
    await resumed.restore(middle);
    expect([(await resumed.step()).metrics, (await resumed.step()).metrics]).toEqual(metrics.slice(1));
    await resumed.save(folder);
    const [merged, saved] = [await loadModel(device, folder), await loadModel(device, join(folder, "adapter"))];
    const name = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight";
    expect(await readFloats(saved.store, name)).toEqual(await readFloats(merged.store, name));
    expect(await readFloats(saved.store, name)).not.toEqual(await readFloats(options.policy.store, name));
    expect(saved.adapted?.weights).toBe(options.policy.adapters.options.targets.length);
    for (const trainer of [uncut, resumed]) await trainer[Symbol.asyncDispose]();
  });

  it("refuses what is not its state, and is as it was", async () => {
    const trainer = await createPpoTrainer(await tinyOptions(device));
    const before = await collected(trainer.capture());
    const short: SavedState = { state: before.state, read: async () => new Uint8Array(8) };
    await expect(trainer.restore(short)).rejects.toThrow(TrainerStateError);
    const foreign: SavedState = { ...before, state: { steps: -1 } };
    await expect(trainer.restore(foreign)).rejects.toThrow(/steps/);
    const after = await collected(trainer.capture());
    expect(after.state).toEqual(before.state);
    expect(Buffer.compare(await after.read("tensors.f32"), await before.read("tensors.f32"))).toBe(0);
    await trainer[Symbol.asyncDispose]();
  });
});

describe("saving", () => {
  it("writes a checkpoint that loads, with the value head beside it", async () => {
    const options = await tinyOptions(device, { valueHeadInit: "torch" });
    const trainer = await createPpoTrainer(options);
    await trainer.step();
    await trainer.save(folder);
    const again = await loadModel(device, folder);
    for (const { name } of again.parameters)
      expect(await readFloats(again.store, name)).toEqual(await readFloats(options.policy.store, name));
    expect(await readFloats(again.store, embedding)).not.toEqual(await readFloats(options.reference.store, embedding));
    await using file = await openSafetensors(join(folder, "model.safetensors"));
    expect(file.tensors.get("v_head.summary.weight")?.shape).toEqual([1, again.config.width]);
    expect(file.tensors.get("v_head.summary.bias")?.shape).toEqual([1]);
    await trainer[Symbol.asyncDispose]();
  });

  it("never follows a step that failed: what was saved before stays", async () => {
    const options = await tinyOptions(device);
    const source: { broken: boolean } = { broken: false };
    const reward: Reward = {
      ...options.reward,
      name: "test/breaks",
      score: (batch) =>
        source.broken ? Promise.resolve(new Float64Array(batch.length).fill(Number.NaN)) : options.reward.score(batch),
    };
    const trainer = await createPpoTrainer({ ...options, reward });
    await trainer.step();
    await trainer.save(folder);
    const good = await readFile(join(folder, "model.safetensors"));
    const state = await collected(trainer.capture());
    source.broken = true;
    await expect(trainer.step()).rejects.toThrow(NonFiniteRewardError);
    await expect(trainer.step()).rejects.toThrow(NonFiniteRewardError);
    await expect(trainer.save(folder)).rejects.toThrow(NonFiniteRewardError);
    expect(() => trainer.capture()).toThrow(/'test\/breaks' gave NaN/);
    expect(Buffer.compare(await readFile(join(folder, "model.safetensors")), good)).toBe(0);
    source.broken = false;
    await trainer.restore(state);
    expect((await trainer.step()).metrics.step).toBe(2);
    await trainer[Symbol.asyncDispose]();
  });
});

describe("bounds", () => {
  it("a policy far from its reference is stopped before it learns", async () => {
    const options = await tinyOptions(device, { stop: { minKl: -1, maxKl: 0.5 } });
    const head = await readFloats(options.policy.store, "embed_out.weight");
    await options.policy.store.write(
      "embed_out.weight",
      head.map((weight) => weight * 6),
    );
    const before = await readFloats(options.policy.store, embedding);
    const trainer = await createPpoTrainer(options);
    await expect(trainer.step()).rejects.toThrow(RunawayKlError);
    expect(await readFloats(options.policy.store, embedding)).toEqual(before);
    await trainer[Symbol.asyncDispose]();
  });

  it("KL at either bound, between and beyond", () => {
    const settings = { stop: { minKl: -1, maxKl: 30 } };
    for (const kl of [-1, 0, 30]) expect(() => checkKl(kl, 1, settings)).not.toThrow();
    expect(() => checkKl(-1.01, 7, settings)).toThrow(NegativeKlError);
    expect(() => checkKl(-1.01, 7, settings)).toThrow(/step 7.*-1\.010 nats.*bound of -1/);
    expect(() => checkKl(30.01, 1, settings)).toThrow(RunawayKlError);
    expect(() => checkKl(Number.NaN, 1, settings)).toThrow(RunawayKlError);
  });

  it("a mini-batch whose probabilities have run away teaches nothing", async () => {
    const trainer = await createPpoTrainer(await tinyOptions(device, { ratioThreshold: 1e-6, weightDecay: 0 }));
    const before = await collected(trainer.capture());
    const { metrics } = await trainer.step();
    expect(metrics.skippedMiniBatches).toBe(4);
    expect(metrics.gradientNorm).toBe(0);
    const after = await collected(trainer.capture());
    expect(Buffer.compare(await after.read("tensors.f32"), await before.read("tensors.f32"))).toBe(0);
    await trainer[Symbol.asyncDispose]();
  });

  it("models that do not belong together are refused", async () => {
    const options = await tinyOptions(device);
    await expect(createPpoTrainer({ ...options, reference: options.policy })).rejects.toThrow(TuningModelError);
    const tokenizer = { ...tinyTokenizer, vocabSize: 98 };
    await expect(createPpoTrainer({ ...options, tokenizer })).rejects.toThrow(/98 tokens but the model only 97/);
    await expect(createPpoTrainer({ ...options, prompts: options.prompts.slice(0, 9) })).rejects.toThrow(/9 texts/);
  });
});

const eos = 1;
const embedding = "gpt_neox.embed_in.weight";
const exactly = { absolute: 1e-12, relative: 0 };

const textOf = (ids: Iterable<number>): string => tinyTokenizer.decode(ids);
const withoutEos = (ids: readonly number[]): number[] => ids.filter((id) => id !== eos);
const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
