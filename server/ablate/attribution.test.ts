import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { expectClose } from "../../test/conformance/close-to.ts";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { fixturePath, modelFolder } from "../../test/conformance/fixtures.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { forward, logitsOf } from "../models/model.ts";
import { encodeNode } from "../sae/graph.ts";
import { placeSae } from "../sae/inference.ts";
import { layOut } from "../tuning/completion-batch.ts";
import { PairScorer } from "../tuning/pair-batch.ts";
import { needsOf } from "../tuning/pair-rows.ts";
import { episodesOf } from "../tuning/pair-shapes.ts";
import { batchNeeds } from "../tuning/row-shapes.ts";
import type { TokenPair } from "../tuning/token-pair.ts";
import { Attributor, type Objective } from "./attribution.ts";
import { type AblatedDictionary, AblationEdit } from "./edit.ts";

const numbers = z.array(z.number());
const found = z.object({
  objective: z.number(),
  dictionaries: z.array(z.object({ score: numbers, error: numbers, energy: numbers, density: numbers })),
});
const oracle = z
  .object({
    temperature: z.number(),
    prompts: z.array(numbers),
    completions: z.array(numbers),
    values: numbers,
    dictionaries: z.array(
      z.object({ layer: z.int(), encoder: z.array(numbers), encoderBias: numbers, decoder: z.array(numbers) }),
    ),
    reward: found,
    logRatio: found,
  })
  .parse(JSON.parse(readFileSync(fixturePath("ablate/attribution.json"), "utf8")));

const shape = { promptPlaces: 6, completionPlaces: 5 };
const { temperature } = oracle;
const batch = layOut(
  oracle.prompts.map((prompt, at) => ({
    prompt: Int32Array.from(prompt),
    completion: Int32Array.from(oracle.completions[at] ?? []),
  })),
  shape,
);

describe.each(devicesUnderTest)("attribution on $kind", ({ open }) => {
  let device: Device;
  let model: LoadedModel;
  let base: LoadedModel;
  const dictionaries: AblatedDictionary[] = [];
  let objectives: Readonly<Record<Objective["kind"], Objective>>;
  beforeAll(async () => {
    device = await open();
    model = await loadModel(device, modelFolder("gpt-neox"));
    base = await loadModel(device, modelFolder("gpt-neox-sequential"), { prefix: "base/" });
    objectives = {
      reward: { kind: "reward", values: Float32Array.from(oracle.values) },
      logRatio: { kind: "logRatio", base },
      margin: { kind: "margin" },
    };
    for (const { layer, encoder, encoderBias, decoder } of oracle.dictionaries) {
      const [D, F] = [model.config.width, encoder.length];
      const name = `L${layer}`;
      const { store, nodes } = await placeSae(device, name, {
        D,
        F,
        activation: { kind: "relu" },
        encoder: Float32Array.from(encoder.flat()),
        encoderBias: Float32Array.from(encoderBias),
        decoder: Float32Array.from(decoder.flat()),
        decoderBias: new Float32Array(D),
      });
      const encode: AblatedDictionary["encode"] = (x) => encodeNode(x, nodes);
      dictionaries.push({
        name,
        layer,
        site: "mlp-output",
        features: F,
        store,
        encode,
        decoder: nodes.decoder,
        decoderBias: nodes.decoderBias,
      });
    }
  });
  afterAll(() => device.close());

  const options = (kind: Objective["kind"]) => ({
    device,
    model,
    objective: objectives[kind],
    dictionaries,
    shape,
    temperature,
  });

  it.each(["reward", "logRatio"] as const)("of the %s equals PyTorch's, with padding and without", async (kind) => {
    const attributor = await Attributor.create(options(kind));
    await attributor.add(batch);
    const result = attributor.result();
    await attributor.dispose();
    expect(result).toMatchObject({ completions: 4, tokens: 13 + 13 - 4 });
    const expected = oracle[kind];
    expectClose("objective", [result.objective], [expected.objective], { absolute: 0, relative: 1e-5 });
    for (const [at, { name }] of dictionaries.entries())
      for (const part of ["score", "error", "energy", "density"] as const)
        expectClose(`${name} ${part}`, result.dictionaries.get(name)?.[part], expected.dictionaries[at]?.[part] ?? [], {
          absolute: 1e-6,
          relative: 1e-4,
        });
  });

  it("is the slope of J in the factor that an ablation gives the feature", async () => {
    const attributor = await Attributor.create(options("reward"));
    await attributor.add(batch);
    const { dictionaries: attributed } = attributor.result();
    await attributor.dispose();
    const edit = await AblationEdit.create(device, dictionaries);
    const T = shape.promptPlaces + shape.completionPlaces - 1;
    const rows = batch.rows;
    const { hidden } = forward(model, { shape: [rows, T], maskKeys: true, editActivations: edit.activations });
    const states = ops.reshape(ops.slice(hidden, 1, shape.promptPlaces - 1, T), [rows * shape.completionPlaces, -1]);
    const probs = ops.softmax(logitsOf(model, ops.affine(states, 1 / temperature)));
    const program = await device.compile({
      stores: [model.store, ...edit.frozenStores, ...edit.liveStores],
      outputs: { probs },
    });
    const { ids, positions, keyBias, mask } = batch;
    const V = model.config.vocabSize;
    const objectiveOf = async (): Promise<number> => {
      const { probs: p = [] } = await program.run({ ids, positions, keyBias });
      let J = 0;
      for (const [at, value] of p.entries())
        J += value * (oracle.values[at % V] ?? 0) * (mask[Math.floor(at / V)] ?? 0);
      return J / rows;
    };
    const eps = 0.005;
    for (const { name, features } of dictionaries) {
      for (const feature of [0, 1, features - 1]) {
        const sides: number[] = [];
        for (const sign of [1, -1]) {
          const strength = new Float32Array(features);
          strength[feature] = -sign * eps;
          const change = { strength, level: new Float32Array(features), reconstruct: false };
          await edit.set(new Map([[name, change]]));
          sides.push(await objectiveOf());
        }
        const [up = 0, down = 0] = sides;
        const slope = (up - down) / (2 * eps);
        expectClose(`${name} ${feature}`, [attributed.get(name)?.score[feature] ?? Number.NaN], [slope], {
          absolute: 2e-4,
          relative: 5e-3,
        });
      }
    }
    await program.dispose();
    await edit.dispose();
  });

  it("of the margin is the slope of a pair's margin, half of it in each answer", async () => {
    const pairs = [0, 2].map((at): TokenPair => {
      const answer = (row: number) => ({
        prompt: Int32Array.from(oracle.prompts[at] ?? []),
        answer: Int32Array.from(oracle.completions[row] ?? []),
      });
      return { chosen: answer(at), rejected: answer(at + 1) };
    });
    const attributor = await Attributor.create({ ...options("margin"), temperature: 1 });
    const signs = Float32Array.of(1, -1, 1, -1);
    await attributor.add({ ...layOut(pairs.flatMap(episodesOf), shape), signs });
    const { dictionaries: attributed, objective, completions } = attributor.result();
    await attributor.dispose();
    expect(completions).toBe(4);
    const edit = await AblationEdit.create(device, dictionaries);
    const { frozenStores, liveStores, activations: editActivations } = edit;
    const scorer = await PairScorer.create(device, model, {
      shape: batchNeeds(pairs.map(needsOf)),
      pairs: 2,
      frozen: true,
      edit: { frozenStores, liveStores, editActivations },
    });
    const marginOfPairs = async (): Promise<number> => {
      const scores = await scorer.score(pairs);
      return scores.reduce((sum, { chosen, rejected }) => sum + chosen - rejected, 0) / pairs.length;
    };
    expectClose("objective", [2 * objective], [await marginOfPairs()], { absolute: 1e-4, relative: 1e-5 });
    const eps = 0.005;
    for (const { name, features } of dictionaries) {
      for (const feature of [0, 1, features - 1]) {
        const sides: number[] = [];
        for (const sign of [1, -1]) {
          const strength = new Float32Array(features);
          strength[feature] = -sign * eps;
          await edit.set(new Map([[name, { strength, level: new Float32Array(features), reconstruct: false }]]));
          sides.push(await marginOfPairs());
        }
        const [up = 0, down = 0] = sides;
        const slope = (up - down) / (2 * eps);
        expectClose(`${name} ${feature}`, [2 * (attributed.get(name)?.score[feature] ?? Number.NaN)], [slope], {
          absolute: 4e-4,
          relative: 5e-3,
        });
      }
    }
    await scorer.dispose();
    await edit.dispose();
  });

  it("goes on from what was captured, whatever the batches", async () => {
    const [first, second] = [await Attributor.create(options("reward")), await Attributor.create(options("reward"))];
    await first.add(batch);
    await second.add(batch);
    const halves = layOut(
      oracle.prompts.slice(0, 2).map((prompt, at) => ({
        prompt: Int32Array.from(prompt),
        completion: Int32Array.from(oracle.completions[at] ?? []),
      })),
      shape,
    );
    await first.add(halves);
    const resumed = await Attributor.create(options("reward"));
    resumed.restore(second.captured.slice());
    await resumed.add(halves);
    expect(resumed.result()).toEqual(first.result());
    expect(resumed.result().completions).toBe(6);
    expect(() => resumed.restore(new Float64Array(3))).toThrow(/3 sums were saved/);
    for (const one of [first, second, resumed]) await one.dispose();
  });
});
