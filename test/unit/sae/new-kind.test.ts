/** Walks the recipe "A kind of dictionary" of CONTRIBUTING.md with a kind that nobody has. Letters: N tokens, D width, F features. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { Random } from "../../../server/common/random.ts";
import * as ops from "../../../server/engine/ops.ts";
import { loadModel } from "../../../server/models/checkpoint.ts";
import { modelFitIssues } from "../../../server/pipeline/experiment/model-fit.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { factsOf } from "../../../server/pipeline/report/about.ts";
import { type ActivationRule, activationRules } from "../../../server/sae/activations.ts";
import { type SaeConfig, type Sparsity, saeConfigSchema } from "../../../server/sae/config.ts";
import { loadSae, saveSae } from "../../../server/sae/format.ts";
import { decodeNode, encodeNode } from "../../../server/sae/graph.ts";
import { placeSae } from "../../../server/sae/inference.ts";
import type { Activation, Sae } from "../../../server/sae/sae.ts";
import { type SparsityRule, sparsityRules } from "../../../server/sae/sparsity.ts";
import { createSaeTrainer, type SaeTrainer } from "../../../server/sae/trainer.ts";
import { expectClose } from "../../conformance/close-to.ts";
import { devicesUnderTest } from "../../conformance/devices.ts";
import { modelFolder } from "../../conformance/fixtures.ts";

/** Every feature has a shift of its own that is learned, and counted in steps: f = max(0, sums - step * shift). */
interface Shift {
  readonly kind: "shift";
  readonly weight: number;
}
interface Shifted {
  readonly kind: "shifted";
  readonly step: number;
  readonly shift: Float32Array;
}

const step = 0.5;

const shiftRule: SparsityRule<Shift> = {
  parameters: (_, F) => [{ name: "shift", shape: [F], initial: 0.25 }],
  train: (sums, { weight }, { shift = ops.fill([], 0) }) => {
    const features = ops.relu(ops.sub(sums, ops.affine(shift, step)));
    return { features, penalty: ops.affine(ops.sum(features), weight / (sums.shape[0] ?? 1)) };
  },
  activation: (_, { shift = new Float32Array() }) => made({ kind: "shifted", step, shift }),
  issues: ({ weight }, F) => (weight > F ? [{ field: "weight", message: `got ${weight}; expected ${F} at most` }] : []),
  inWords: ({ weight }) => `learned shifts under ${weight}`,
};

const shiftedRule: ActivationRule<Shifted> = {
  tensors: (F) => ({ shift: [F] }),
  valuesOf: ({ shift }) => ({ shift }),
  encode: (sums, activation, { shift = ops.fill([], 0) }) =>
    ops.relu(ops.sub(sums, ops.affine(shift, activation.step))),
  scaled: () => undefined,
  file: {
    architecture: "toy-shifted",
    bias: "b_enc",
    tensors: ["shift"],
    valuesOf: ({ shift }) => ({ shift }),
    write: (activation) => ({ shift_step: activation.step }),
    read: (config, { shift = new Float32Array() }) => ({
      kind: "shifted",
      step: z.object({ shift_step: z.number() }).parse(config).shift_step,
      shift,
    }),
  },
};

// What an entry in the two tables is; the types know only the kinds that there are.
Object.assign(sparsityRules, { shift: shiftRule });
Object.assign(activationRules, { shifted: shiftedRule });
const asked: Sparsity = JSON.parse('{"kind":"shift","weight":0.01}');
function made(shifted: Shifted): Activation {
  return shifted as unknown as Activation;
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-new-kind-"));
});
afterAll(() => rm(folder, { recursive: true }));

const draw = Random.fromSeed(12);
const texts = Array.from({ length: 40 }, () => Int32Array.from({ length: 12 }, () => draw.integer(97)));
const settings = { batchTokens: 48, contextLength: 12, bufferTokens: 240, epochs: 6, multiples: [2] };
const config: SaeConfig = { ...saeConfigSchema.parse(settings), sparsity: asked };
const id = "base.1.64";

test.each(devicesUnderTest)("a new kind is trained, resumed, saved, read and computed on $kind", async ({ open }) => {
  await using resources = new AsyncDisposableStack();
  const device = await open();
  resources.defer(() => device.close());
  const model = { name: "base", model: await loadModel(device, modelFolder("gpt-neox")) };
  const create = (): Promise<SaeTrainer> =>
    createSaeTrainer({
      device,
      models: [model],
      layers: [1],
      site: "residual",
      config,
      texts,
      random: Random.fromSeed(3),
    });
  const trainer = await create();
  const losses: number[] = [];
  let middle: Awaited<ReturnType<SaeTrainer["state"]>> | undefined;
  for (let done = await trainer.step(); done !== undefined; done = await trainer.step()) {
    if (done.kind !== "update") continue;
    losses.push(done.metrics[0]?.loss ?? Number.NaN);
    if (done.step === 10) middle = structuredClone(await trainer.state());
  }
  expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
  const trained = await trainer.sae(id);
  const { shift } = trained.activation as unknown as Shifted;
  expect(new Set(shift).size).toBeGreaterThan(60);

  const resumed = await create();
  if (middle === undefined) throw new Error("the training ended before step 10");
  await resumed.restore(middle);
  while ((await resumed.step()) !== undefined);
  expect(await resumed.sae(id)).toEqual(trained);

  const place = join(folder, device.kind);
  await saveSae(place, trained, {
    modelName: "tiny",
    layer: 1,
    site: "mlp-output",
    module: "tiny.1.mlp",
    contextLength: 12,
    prependBos: false,
    dataset: null,
  });
  expect(JSON.parse(await readFile(join(place, "cfg.json"), "utf8"))).toMatchObject({
    architecture: "toy-shifted",
    shift_step: step,
  });
  const { sae } = await loadSae(place);
  expect(sae).toEqual(trained);

  const { store, nodes } = await placeSae(device, "read", sae);
  const features = encodeNode(ops.input("x", [5, sae.D]), nodes);
  const outputs = { features, reconstruction: decodeNode(features, nodes) };
  const program = await device.compile({ stores: [store], frozen: [store], outputs });
  const x = Float32Array.from({ length: 5 * sae.D }, () => 0.3 * draw.normal());
  const found = await program.run({ x });
  const expected = plainFeatures(sae, shift, x);
  expect(expected.filter((value) => value > 0).length).toBeGreaterThan(10);
  expectClose("features", found["features"], expected, { absolute: 1e-5, relative: 1e-5 });
});

test("settings of a new kind are judged and described by its rule", () => {
  const experiment = parseExperiment({ preset: "quick" });
  const withKind = (weight: number) => ({ ...experiment, sae: { ...experiment.sae, sparsity: { ...asked, weight } } });
  const starter = { modelType: "gpt_neox", layers: 6, width: 128, contextLength: 512, bosId: 0 };
  // The rest of a model's configuration is not read.
  const model = starter as unknown as Parameters<typeof modelFitIssues>[1];
  expect(modelFitIssues(withKind(64), model, undefined)).toEqual([]);
  expect(modelFitIssues(withKind(1e6), model, undefined)).toMatchObject([
    { path: "sae.sparsity.weight", message: "got 1000000; expected 128 at most" },
  ]);
  const facts = factsOf(withKind(0.5)).map(({ value }) => value);
  expect(facts.join("\n")).toContain("learned shifts under 0.5");
});

/** [N, F] in double precision. */
function plainFeatures({ D, F, encoder, encoderBias }: Sae, shift: Float32Array, x: Float32Array): number[] {
  return Array.from({ length: (x.length / D) * F }, (_, at) => {
    const [n, f] = [Math.floor(at / F), at % F];
    let sum = encoderBias[f] ?? 0;
    for (let d = 0; d < D; d++) sum += (x[n * D + d] ?? 0) * (encoder[f * D + d] ?? 0);
    return Math.max(0, sum - step * (shift[f] ?? 0));
  });
}
