import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { forward, logitsOf, plainPositions } from "../models/model.ts";
import { nextTokenLoss, targetsOf } from "../models/next-token-loss.ts";
import { type OpenedModel, openModel } from "../models/open.ts";
import { defaultSite, type Site, siteNames } from "../models/sites.ts";
import { encodeNode } from "../sae/graph.ts";
import { placeSae } from "../sae/inference.ts";
import { type Sae, unitRows } from "../sae/sae.ts";
import {
  AblationSetError,
  type Condition,
  changesOf,
  conditionsOf,
  type DictionaryFacts,
  energyOf,
  matchedFeatures,
  tooFewToDraw,
} from "./conditions.ts";
import { type AblatedDictionary, AblationEdit, type DictionaryChange } from "./edit.ts";
import { LossMeter } from "./loss.ts";
import { ablationResult, type Samples, summarise } from "./result.ts";

const [D, F, layer] = [128, 40, 4];
let site: Site;
let device: Device;
let starter: OpenedModel;
let sae: Sae;
let dictionary: AblatedDictionary;
let edit: AblationEdit;
const texts = [
  [0, 17, 500, 33, 1200, 9, 9, 71],
  [0, 5, 44, 2100],
].map((ids) => Int32Array.from(ids));

/** The activations of the ablated site and the logits, as the edit stands. */
async function run(text: Int32Array, edited: boolean) {
  const shape = [1, text.length] as const;
  const { model } = starter;
  const { hidden, layers } = forward(model, { shape, ...(edited ? { editActivations: edit.activations } : {}) });
  const frozen = [model.store, ...(edited ? edit.frozenStores : [])];
  const program = await device.compile({
    stores: [...frozen, ...(edited ? edit.liveStores : [])],
    frozen,
    outputs: { x: layers[layer]?.activations[site] ?? hidden, logits: logitsOf(model, hidden) },
  });
  const { x = [], logits = [] } = await program.run({ ids: text, positions: plainPositions(shape) });
  await program.dispose();
  return { x: [...x], logits: [...logits] };
}

/** x' by the formula, in plain double precision. */
function byHand(x: readonly number[], { strength, level, reconstruct }: DictionaryChange): number[] {
  const changed: number[] = [];
  for (let n = 0; n < x.length; n += D) {
    const own = x.slice(n, n + D);
    const f = Array.from({ length: F }, (_, j) =>
      Math.max(
        0,
        own.reduce((sum, value, d) => sum + value * (sae.encoder[j * D + d] ?? 0), sae.encoderBias[j] ?? 0),
      ),
    );
    for (const [d, value] of own.entries()) {
      const rebuilt = f.reduce((sum, fj, j) => sum + fj * (sae.decoder[j * D + d] ?? 0), sae.decoderBias[d] ?? 0);
      const removed = f.reduce(
        (sum, fj, j) => sum + (strength[j] ?? 0) * (fj - (level[j] ?? 0)) * (sae.decoder[j * D + d] ?? 0),
        0,
      );
      changed.push(reconstruct ? rebuilt : value - removed);
    }
  }
  return changed;
}

const change = (given: Partial<DictionaryChange>): DictionaryChange => ({
  strength: new Float32Array(F),
  level: new Float32Array(F),
  reconstruct: false,
  ...given,
});
const at = (places: Readonly<Record<number, number>>): Float32Array =>
  Float32Array.from({ length: F }, (_, j) => places[j] ?? 0);

const subjects = devicesUnderTest.flatMap((device) =>
  siteNames.filter((own) => own === defaultSite || device.kind === "cpu").map((own) => ({ ...device, own })),
);

describe.each(subjects)("at the site $own on $kind", ({ open, own }) => {
  beforeAll(async () => {
    site = own;
    device = await open();
    starter = await openModel(device, "starter");
    const random = Random.fromSeed(1);
    const values = (count: number, scale = 1): Float32Array =>
      new Float32Array(count).map(() => scale * random.normal());
    const decoder = unitRows(values(F * D), D);
    sae = {
      D,
      F,
      activation: { kind: "relu" },
      encoder: decoder,
      encoderBias: values(F, 0.1),
      decoder,
      decoderBias: values(D, 0.1),
    };
    const { store, nodes } = await placeSae(device, "d", sae);
    const { decoder: rows, decoderBias } = nodes;
    dictionary = {
      name: "d",
      layer,
      site,
      features: F,
      store,
      encode: (x) => encodeNode(x, nodes),
      decoder: rows,
      decoderBias,
    };
    edit = await AblationEdit.create(device, [dictionary]);
  });
  afterAll(() => device.close());

  describe("an ablation", () => {
    it("of nothing changes nothing, bit for bit", async () => {
      for (const text of texts) {
        await edit.set(new Map());
        const plain = await run(text, false);
        expect(await run(text, true)).toEqual(plain);
        await edit.set(new Map([["d", change({ level: at({ 3: 1 }) })]]));
        expect(await run(text, true)).toEqual(plain);
      }
    });

    it.each<[string, Partial<DictionaryChange>]>([
      ["removes", { strength: at({ 0: 1, 7: 1, 31: 1 }) }],
      ["doubles", { strength: at({ 0: -1, 7: -1 }) }],
      ["reverses", { strength: at({ 12: 2 }) }],
      ["puts at a level", { strength: at({ 0: 1, 7: 1 }), level: at({ 0: 0.5, 7: 0.25 }) }],
      ["puts the reconstruction in the place of the output", { reconstruct: true }],
    ])("%s what it says and nothing else", async (_, given) => {
      const [text = new Int32Array()] = texts;
      const { x, logits } = await run(text, false);
      await edit.set(new Map([["d", change(given)]]));
      const changed = await run(text, true);
      await edit.set(new Map());
      for (const [place, value] of byHand(x, change(given)).entries()) expect(changed.x[place]).toBeCloseTo(value, 4);
      expect(changed.logits).not.toEqual(logits);
    });
  });

  describe("loss and activity", () => {
    it("are those of each text alone", async () => {
      const { model } = starter;
      await edit.set(new Map());
      const meter = await LossMeter.create({ device, model, dictionaries: [dictionary], edit, texts, tokens: 64 });
      const losses = await meter.losses();
      for (const [index, text] of texts.entries()) {
        const shape = [1, text.length] as const;
        const program = await device.compile({ stores: [model.store], outputs: { loss: nextTokenLoss(model, shape) } });
        const { loss = [] } = await program.run({
          ids: text,
          positions: plainPositions(shape),
          targets: targetsOf(text, shape),
        });
        await program.dispose();
        expect(losses[index]).toBeCloseTo(loss[0] ?? Number.NaN, 4);
      }
      const facts = (await meter.facts()).get("d");
      await meter.dispose();
      let [active, sum, squares, tokens] = [0, 0, 0, 0];
      for (const text of texts) {
        const { x } = await run(text, false);
        for (let n = 0; n < x.length; n += D) {
          const f = x
            .slice(n, n + D)
            .reduce((total, value, d) => total + value * (sae.encoder[5 * D + d] ?? 0), sae.encoderBias[5] ?? 0);
          tokens++;
          if (f > 0) [active, sum, squares] = [active + 1, sum + f, squares + f * f];
        }
      }
      expect(facts?.density[5]).toBeCloseTo(active / tokens, 9);
      expect(facts?.mean[5]).toBeCloseTo(sum / tokens, 4);
      expect(facts?.meanSquare[5]).toBeCloseTo(squares / tokens, 4);
    });
  });
});

describe("controls", () => {
  const facts = new Map<string, DictionaryFacts>([
    [
      "d",
      {
        density: Float64Array.from({ length: 30 }, (_, j) => (j === 29 ? 0 : (j + 1) / 100)),
        mean: Float64Array.from({ length: 30 }, (_, j) => j),
        meanSquare: Float64Array.from({ length: 30 }, (_, j) => (j + 1) / 10),
      },
    ],
  ]);
  const set = [3, 4, 20].map((feature) => ({ dictionary: "d", feature, factor: 0 }));

  it("take other features that are active about as often, none twice, none dead, and other ones in another draw", () => {
    const draws = Array.from({ length: 20 }, (_, draw) => matchedFeatures(set, facts, Random.fromSeed(draw)));
    for (const draw of draws) {
      expect(draw).toHaveLength(3);
      expect(new Set(draw.map(({ feature }) => feature)).size).toBe(3);
      for (const [index, { feature }] of draw.entries()) {
        expect([3, 4, 20, 29]).not.toContain(feature);
        expect(Math.abs(feature - (set[index]?.feature ?? 0))).toBeLessThanOrEqual(14);
      }
    }
    expect(new Set(draws.map((draw) => JSON.stringify(draw))).size).toBeGreaterThan(10);
    // Of two that are active as often, the one that is as strong: features 10 to 19 have the density of 0 to 9, and a hundred times the energy.
    const pairs = new Map([
      [
        "d",
        {
          density: Float64Array.from({ length: 20 }, () => 0.1),
          mean: new Float64Array(20),
          meanSquare: Float64Array.from({ length: 20 }, (_, j) => (j < 10 ? 1 : 100)),
        },
      ],
    ]);
    const strong = { dictionary: "d", feature: 15, factor: 0 };
    for (let seed = 0; seed < 20; seed++)
      expect(matchedFeatures([strong], pairs, Random.fromSeed(seed))[0]?.feature).toBeGreaterThanOrEqual(10);
    expect(energyOf([strong, { dictionary: "d", feature: 3 }], pairs)).toBe(101);
    const all = Array.from({ length: 29 }, (_, feature) => ({ dictionary: "d", feature, factor: 0 }));
    expect(() => matchedFeatures(all, facts, Random.fromSeed(1))).toThrow(AblationSetError);
  });

  it("are zero, mean, reconstruction and random draws", () => {
    const conditions = conditionsOf(set, facts, { draws: 2, random: Random.fromSeed(1) });
    expect(tooFewToDraw(set, facts)).toBeUndefined();
    expect(conditions.map(({ kind, draw }) => `${kind}${draw ?? ""}`)).toEqual([
      "none",
      "this",
      "mean",
      "reconstruction",
      "random1",
      "random2",
    ]);
    const changes = conditions.map((condition) => changesOf(condition, facts).get("d"));
    expect(changes[0]).toBeUndefined();
    expect([changes[1]?.strength[20], changes[1]?.level[20]]).toEqual([1, 0]);
    expect([changes[2]?.strength[20], changes[2]?.level[20]]).toEqual([1, 20]);
    expect([changes[3]?.reconstruct, changes[3]?.strength[20]]).toEqual([true, 0]);
    const doubled = changesOf(
      { kind: "this", draw: null, features: [{ dictionary: "d", feature: 1, factor: 2 }] },
      facts,
    );
    expect(doubled.get("d")?.strength[1]).toBe(-1);
    expect(() =>
      changesOf({ kind: "this", draw: null, features: [{ dictionary: "d", feature: 99, factor: 0 }] }, facts),
    ).toThrow(/features 0 to 29/);
  });

  it("are compared prompt by prompt", () => {
    const condition = (kind: Condition["kind"], draw: number | null = null): Condition => ({
      kind,
      draw,
      features: [],
    });
    const sample = (one: Condition, rewards: Samples["rewards"], losses: number[] = []): Samples => ({
      condition: one,
      rewards,
      losses,
      separations: [],
      energy: one.kind === "this" ? 2 : 1,
    });
    const none = [1, 5, 9, 2];
    const second = [2, 2, 8, 0];
    const less = (values: readonly number[], by: number): number[] => values.map((value) => value - by);
    const result = summarise(
      [
        sample(condition("none"), [none, second], [3, 4]),
        sample(condition("this"), [less(none, 1), less(second, 2)], [3.5, 4.5]),
        sample(condition("random", 1), [none], [3, 4]),
        sample(condition("random", 2), [undefined, less(second, -0.5)], [3.25, 4.25]),
        sample(condition("random", 3), [less(none, -0.25)]),
      ],
      {
        features: [],
        seed: 1,
        idOf: () => "",
        base: { none: [none, second], this: [less(none, 0.25), less(second, 0.25)] },
      },
    );
    // Every prompt changes by the same, so the intervals of one set have no width, however the prompts differ.
    expect(result.conditions[1]?.reward.change).toEqual({ mean: -1.5, low: -1.5, high: -1.5 });
    expect(result.conditions[1]?.reward.level.mean).toBeCloseTo((17 + 12) / 8 - 1.5, 12);
    // The draws are at 0, 0.5 and 0.25: their spread alone, sd 0.25 of three. The third has no losses.
    const half = (1.959963984540054 * 0.25) / Math.sqrt(3);
    expect(result.random).toMatchObject({ draws: 3, lowest: 0, highest: 0.5, below: 0, energy: { set: 2, draws: 1 } });
    expect(result.random?.change.mean).toBeCloseTo(0.25, 12);
    expect(result.random?.change.low).toBeCloseTo(0.25 - half, 12);
    expect(result.beyondRandom?.mean).toBeCloseTo(-1.75, 12);
    expect(result.beyondRandom?.high).toBeCloseTo(-1.75 + half, 12);
    expect(result.random?.loss?.change.mean).toBeCloseTo(0.125, 12);
    expect(result.random?.loss?.beyond.mean).toBeCloseTo(0.375, 12);
    expect(result.base).toEqual({
      change: { mean: -0.25, low: -0.25, high: -0.25 },
      gain: { mean: -1.25, low: -1.25, high: -1.25 },
    });
    expect(result).toMatchObject({ prompts: 4, completions: 2, texts: 2, triples: 0 });
    expect(result.conditions[0]).toMatchObject({ reward: { change: null }, probe: null });
  });

  it("that an earlier version measured are read as they were", () => {
    const old = { mean: -1, low: -2, high: 0 };
    const read = ablationResult.parse({
      features: [{ id: "L4/F43", factor: 0 }],
      prompts: 256,
      texts: 96,
      triples: 90,
      seed: 1,
      conditions: [],
      beyondRandom: old,
      random: { draws: 3, change: old, lowest: -1, highest: 0 },
    });
    expect(read).toMatchObject({ completions: 1, base: null, random: { below: null, loss: null, energy: null } });
  });
});
