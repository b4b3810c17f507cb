import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fastDevicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { InternalError } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { NonFiniteError } from "../engine/errors.ts";
import { loadModel } from "../models/checkpoint.ts";
import { forward, plainPositions } from "../models/model.ts";
import { type LayerSite, type Site, siteNames } from "../models/sites.ts";
import type { SubjectModel } from "./activation-buffer.ts";
import { type SaeConfig, saeConfigSchema } from "./config.ts";
import { TrainingStateError, UnknownLayerError } from "./errors.ts";
import type { Sae } from "./sae.ts";
import { tokenStream } from "./token-stream.ts";
import { createSaeTrainer, type SaeStep, type SaeTrainer, type SaeTrainerState, UnknownSaeError } from "./trainer.ts";

const layers = [0, 2];
const random = Random.fromSeed(11);
const draw = Random.fromSeed(12);
const texts = Array.from({ length: 60 }, () =>
  Int32Array.from({ length: 1 + draw.integer(24) }, () => draw.integer(97)),
);
const settings = {
  batchTokens: 48,
  contextLength: 20,
  bufferTokens: 320,
  deadAfterTokens: 200,
  sparsity: { kind: "l1", coefficient: 0.02 },
} as const;
const config = saeConfigSchema.parse(settings);

describe.each(fastDevicesUnderTest)("training on $kind", ({ open }) => {
  let device: Device;
  let models: SubjectModel[];
  beforeAll(async () => {
    device = await open();
    models = await twoModels(device, device);
  });
  afterAll(() => device.close());

  const create = (changes: Partial<SaeConfig> = {}, site: Site = "mlp-output"): Promise<SaeTrainer> =>
    createSaeTrainer({ device, models, layers, site, config: { ...config, ...changes }, texts, random });

  test.each(siteNames)(
    "the first step at the site %s has the numbers of the chosen tokens, text by text without padding",
    async (site) => {
      const trainer = await create({}, site);
      expect(trainer.saes.map(({ id }) => id)).toEqual([
        ...["base.0.32", "base.0.64", "base.2.32", "base.2.64"],
        ...["tuned.0.32", "tuned.0.64", "tuned.2.32", "tuned.2.64"],
      ]);
      const start = await Promise.all(trainer.saes.map(({ id }) => trainer.sae(id)));
      const first = await untilUpdate(trainer);
      const stream = tokenStream(
        texts.map(({ length }) => length),
        config,
        random.fork("token stream"),
      );
      const { passes, rows } = stream.chunk({ epoch: 0, chunk: 0 });
      for (const [at, { id, model, layer, D }] of trainer.saes.entries()) {
        const subject = models.find(({ name }) => name === model);
        const sae = start[at];
        if (subject === undefined || sae === undefined) throw new Error(id);
        const xs: Float64Array[] = [];
        for (const row of rows.slice(0, stream.N)) {
          const text =
            texts[passes[Math.floor(row / (stream.B * stream.T))]?.[Math.floor(row / stream.T) % stream.B] ?? -1];
          const token = row % stream.T;
          const activations = await activationsOf(device, subject, { layer, site }, text ?? new Int32Array());
          xs.push(Float64Array.from(activations.subarray(token * D, (token + 1) * D)));
        }
        const expected = plainNumbers(sae, xs);
        const got = first.metrics[at];
        expect(got?.id).toBe(id);
        expect(got?.squaredError).toBeCloseTo(expected.squaredError, 4);
        expect(got?.l1).toBeCloseTo(expected.l1, 4);
        expect(got?.l0).toBeCloseTo(expected.l0, 6);
        expect(got?.fve).toBeCloseTo(expected.fve, 4);
        expect(got?.loss).toBeCloseTo(expected.squaredError + 0.02 * expected.l1, 4);
        expect(got?.dead).toBe(0);
      }
      await trainer.dispose();
    },
  );

  test("the loss falls, base and tuned start alike, and directions have length one", async () => {
    const trainer = await create({ epochs: 12, learningRate: 0.01 });
    const [base, tuned] = [await trainer.sae("base.0.64"), await trainer.sae("tuned.0.64")];
    expect(tuned.decoder).toEqual(base.decoder);
    const updates = await finish(trainer);
    expect(updates).toHaveLength(trainer.steps);
    for (const [at, { id }] of trainer.saes.entries()) {
      const losses = updates.map(({ metrics }) => metrics[at]?.loss ?? Number.NaN);
      expect(losses.at(-1), id).toBeLessThan(0.8 * (losses[0] ?? 0));
      const { decoder, encoder, D } = await trainer.sae(id);
      expect(encoder).toBe(decoder);
      expect(Math.hypot(...decoder.subarray(0, D))).toBeCloseTo(1, 6);
    }
    expect((await trainer.sae("tuned.0.64")).decoder).not.toEqual((await trainer.sae("base.0.64")).decoder);
    await trainer.dispose();
  });

  test.each([
    ["tied, L1", {}],
    ["untied, TopK, mean, with padding, in file order", asUntied()],
    ["tied, BatchTopK", { sparsity: { kind: "batchtopk", k: 3.5, thresholdRate: 0.2 } } as const],
  ])("resumes bit for bit wherever it was cut: %s", async (_, changes) => {
    const uncut = await create({ epochs: 2, ...changes });
    const states: SaeTrainerState[] = [structuredClone(await uncut.state())];
    const kinds: string[] = [];
    const uncutMetrics: unknown[] = [];
    for (let done = await uncut.step(); done !== undefined; done = await uncut.step()) {
      kinds.push(done.kind);
      states.push(structuredClone(await uncut.state()));
      if (done.kind === "update") uncutMetrics.push(done.metrics);
    }
    const final = states.at(-1);
    // Before anything, within a chunk's forward passes, between two steps of a chunk, between chunks, and at the end.
    const cuts = [
      0,
      1,
      kinds.indexOf("update") + 1,
      kinds.lastIndexOf("activations"),
      kinds.lastIndexOf("activations") + 2,
      kinds.length,
    ];
    const resumed = await create({ epochs: 2, ...changes });
    for (const cut of cuts) {
      const state = states[cut];
      if (state === undefined) throw new Error(`no state ${cut}`);
      await resumed.restore(state);
      const metrics = (await finish(resumed)).map((update) => update.metrics);
      expect(metrics).toEqual(uncutMetrics.slice(state.step));
      expect(await resumed.state()).toEqual(final);
    }
    await uncut.dispose();
    await resumed.dispose();
  });

  test("BatchTopK has k features a token in the mean of every step, and about as many under its threshold", async () => {
    const k = 3.5;
    const trainer = await create({ epochs: 8, sparsity: { kind: "batchtopk", k, thresholdRate: 0.05 } });
    const updates = await finish(trainer);
    for (const { metrics } of updates) for (const { l0 } of metrics) expect(l0).toBe(Math.floor(k * 48) / 48);
    for (const { id, layer, D } of trainer.saes.filter(({ model }) => model === "base")) {
      const { encoder, encoderBias, activation, F } = await trainer.sae(id);
      if (activation.kind !== "jumprelu") throw new Error(activation.kind);
      const [threshold = 0] = activation.threshold;
      expect(threshold).toBeGreaterThan(0);
      let [active, tokens] = [0, 0];
      for (const text of texts) {
        const xs = await activationsOf(device, models[0], { layer, site: "mlp-output" }, text);
        for (let at = 0; at < xs.length; at += D, tokens++)
          for (let f = 0; f < F; f++) {
            let sum = encoderBias[f] ?? 0;
            for (let d = 0; d < D; d++) sum += (xs[at + d] ?? 0) * (encoder[f * D + d] ?? 0);
            if (sum > threshold) active += 1;
          }
      }
      expect(active / tokens, id).toBeGreaterThan(0.8 * k);
      expect(active / tokens, id).toBeLessThan(1.25 * k);
    }
    await trainer.dispose();
  });

  test("features that stay silent count as dead once the window has passed", async () => {
    const trainer = await create({ epochs: 2, sparsity: { kind: "topk", k: 1 } });
    const state = structuredClone(await trainer.state());
    state.tensors["base.0.64.encoderBias"]?.fill(-1e6, 0, 40);
    await trainer.restore(state);
    const dead = (await finish(trainer)).map(({ metrics }) => metrics[1]?.dead ?? Number.NaN);
    // 48 tokens a step: the fifth is the first to bring 200.
    expect(dead.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(dead[4]).toBeGreaterThanOrEqual(40);
    await trainer.dispose();
  });

  test("stops at a number that is not finite and goes on only from a saved state", async () => {
    const trainer = await create();
    const good = await trainer.state();
    const bad = structuredClone(good);
    bad.tensors["tuned.2.32.encoder"]?.fill(Number.NaN, 0, 1);
    await trainer.restore(bad);
    const failure = await untilUpdate(trainer).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NonFiniteError);
    expect(String(failure)).toMatch(/step 1: .*tuned\.2\.32/);
    await expect(trainer.step()).rejects.toBeInstanceOf(InternalError);
    await trainer.restore(good);
    expect((await untilUpdate(trainer)).step).toBe(1);
    await trainer.dispose();
  });

  test("refuses another training's state, unknown layers and unknown ids", async () => {
    const trainer = await create();
    const state = await trainer.state();
    const refused = (changes: Partial<SaeTrainerState>): Promise<unknown> =>
      expect(trainer.restore({ ...state, ...changes })).rejects.toBeInstanceOf(TrainingStateError);
    await refused({ random: [1, 2, 3, 4] });
    await refused({ step: trainer.steps + 1 });
    await refused({ step: 0.5 });
    const { "base.0.32.encoder.m": _, ...fewer } = state.tensors;
    await refused({ tensors: fewer });
    await refused({ tensors: { ...state.tensors, "base.2.64.quiet": new Float32Array(3) } });
    await expect(trainer.sae("base.1.32")).rejects.toBeInstanceOf(UnknownSaeError);
    await expect(
      createSaeTrainer({ device, models, layers: [3], site: "residual", config, texts, random }),
    ).rejects.toBeInstanceOf(UnknownLayerError);
    await trainer.dispose();
  });
});

/** Two models that differ, each on a device. */
async function twoModels(first: Device, second: Device): Promise<SubjectModel[]> {
  const base = await loadModel(first, modelFolder("gpt-neox"));
  const tuned = await loadModel(second, modelFolder("gpt-neox"));
  const name = "gpt_neox.layers.0.mlp.dense_4h_to_h.weight";
  await tuned.store.write(
    name,
    Float32Array.from(await tuned.store.read(name), (value) => 1.5 * value),
  );
  return [
    { name: "base", model: base, device: first },
    { name: "tuned", model: tuned, device: second },
  ];
}

test("models on two devices of one thread train to the bytes of one device of two threads, and resume from its state", async () => {
  const open = (threads: number): Promise<Device> => createCpuDevice({ threads });
  const [whole, first, second] = await Promise.all([open(2), open(1), open(1)]);
  const create = async (models: readonly SubjectModel[], device: Device): Promise<SaeTrainer> =>
    createSaeTrainer({ device, models, layers, site: "mlp-output", config, texts, random });
  const alone = await create(await twoModels(whole, whole), whole);
  const beside = await create(await twoModels(first, second), first);
  expect(beside.saes).toEqual(alone.saes);
  await alone.step();
  await untilUpdate(alone);
  const cut = structuredClone(await alone.state());
  const rest = await finish(alone);
  const [began, ...others] = await finish(beside);
  expect(began?.step).toBe(1);
  expect(others).toEqual(rest);
  const final = await alone.state();
  expect(await beside.state()).toEqual(final);
  await beside.restore(cut);
  expect(await finish(beside)).toEqual(rest);
  expect(await beside.state()).toEqual(final);
  await Promise.all([whole, first, second].map((device) => device.close()));
});

function asUntied(): Partial<SaeConfig> {
  return { tied: false, sparsity: { kind: "topk", k: 4 }, mse: "mean", maskPadding: false, shuffle: false };
}

async function untilUpdate(trainer: SaeTrainer): Promise<Extract<SaeStep, { kind: "update" }>> {
  for (;;) {
    const done = await trainer.step();
    if (done === undefined) throw new Error("the training ended before its first update");
    if (done.kind === "update") return done;
  }
}

async function finish(trainer: SaeTrainer): Promise<Extract<SaeStep, { kind: "update" }>[]> {
  const updates: Extract<SaeStep, { kind: "update" }>[] = [];
  for (let done = await trainer.step(); done !== undefined; done = await trainer.step())
    if (done.kind === "update") updates.push(done);
  return updates;
}

const programs = new Map<string, Promise<Float32Array>>();

/** Activations [T, D] of one text, alone in its batch. */
async function activationsOf(
  device: Device,
  subject: SubjectModel | undefined,
  { layer, site }: LayerSite,
  text: Int32Array,
): Promise<Float32Array> {
  if (subject === undefined) throw new Error("no model");
  const ids = text.slice(0, config.contextLength);
  const key = `${subject.name} ${layer} ${site} ${ids.join()}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const made = (async () => {
    const shape = [1, ids.length] as const;
    const tap = forward(subject.model, { shape }).layers[layer]?.activations[site];
    if (tap === undefined) throw new Error(`layer ${layer}`);
    const program = await device.compile({ stores: [subject.model.store], outputs: { tap } });
    const { tap: values = [] } = await program.run({ ids, positions: plainPositions(shape) });
    await program.dispose();
    return Float32Array.from(values);
  })();
  programs.set(key, made);
  return made;
}

/** The numbers of one step by plain loops in double precision. */
function plainNumbers(
  { D, F, encoder, encoderBias, decoder, decoderBias }: Sae,
  xs: readonly Float64Array[],
): { squaredError: number; l1: number; l0: number; fve: number } {
  let [squares, l1, l0, variation] = [0, 0, 0, 0];
  const mean = Array.from({ length: D }, (_, d) => xs.reduce((sum, x) => sum + (x[d] ?? 0), 0) / xs.length);
  for (const x of xs) {
    const dot = (rows: Float32Array, f: number): number =>
      x.reduce((sum, value, d) => sum + value * (rows[f * D + d] ?? 0), 0);
    const features = Array.from({ length: F }, (_, f) => Math.max(0, dot(encoder, f) + (encoderBias[f] ?? 0)));
    for (const feature of features) {
      l1 += feature;
      l0 += feature > 0 ? 1 : 0;
    }
    for (let d = 0; d < D; d++) {
      const made = features.reduce((sum, feature, f) => sum + feature * (decoder[f * D + d] ?? 0), decoderBias[d] ?? 0);
      squares += (made - (x[d] ?? 0)) ** 2;
      variation += ((x[d] ?? 0) - (mean[d] ?? 0)) ** 2;
    }
  }
  return { squaredError: squares / xs.length, l1: l1 / xs.length, l0: l0 / xs.length, fve: 1 - squares / variation };
}
