import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fastDevicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder, readModelOracle } from "../../test/conformance/fixtures.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "../models/checkpoint.ts";
import { forward, plainPositions } from "../models/model.ts";
import { siteNames } from "../models/sites.ts";
import type { SubjectModel } from "./activation-buffer.ts";
import { UnknownLayerError } from "./errors.ts";
import { Moments } from "./moments.ts";
import { measureSaes, type QualityCounts, qualityCountsSchema, type SaeQuality } from "./quality.ts";
import { type Sae, unitRows } from "./sae.ts";
import { dictionarySimilarity } from "./similarity.ts";

const D = 32;
const layer = 1;

const subjects = fastDevicesUnderTest.flatMap((device) => siteNames.map((site) => ({ ...device, site })));

describe.each(subjects)("quality at the site $site on $kind", ({ open, site }) => {
  const oracle = readModelOracle("gpt-neox");
  let device: Device;
  let model: SubjectModel;
  beforeAll(async () => {
    device = await open();
    model = { name: "base", model: await loadModel(device, modelFolder("gpt-neox")) };
  });
  afterAll(() => device.close());

  const measure = async (saes: Readonly<Record<string, Sae>>, texts: readonly Int32Array[]): Promise<SaeQuality[]> =>
    measureSaes({
      device,
      model,
      saes: Object.entries(saes).map(([id, sae]) => ({ id, layer, site, sae })),
      texts,
      contextLength: 30,
    });

  test("an identity recovers the whole loss and explains everything; the clean loss is PyTorch's", async () => {
    const texts = oracle.ids.map((ids) => Int32Array.from(ids));
    const [identity, other] = await measure({ identity: identitySae(), other: silentSae(new Float32Array(D)) }, texts);
    if (identity === undefined || other === undefined) throw new Error("two are expected");
    expect(identity.lossClean).toBeCloseTo(oracle.loss, 4);
    expect(identity.lossZero).not.toBeCloseTo(oracle.loss, 3);
    expect(identity.lossSpliced).toBeCloseTo(identity.lossClean, 6);
    expect(identity.lossRecovered).toBeCloseTo(1, 4);
    expect(identity.fve).toBeCloseTo(1, 10);
    expect(identity.meanSquaredError).toBeLessThan(1e-12);
    // Every element is positive or negative, so one of each pair of features is active.
    expect(identity.l0).toBe(D);
    expect(identity.tableSparsity).toBeCloseTo(D / 100, 12);
    expect(identity.tokens).toBe(texts.reduce((total, { length }) => total + length, 0));
    // Reading is not changed by what another one splices.
    expect(other.lossClean).toBe(identity.lossClean);
  });

  test("zeros recover nothing; the mean explains nothing", async () => {
    const texts = someTexts(23);
    const all = await activations(texts);
    const mean = Float32Array.from({ length: D }, (_, d) => all.reduce((sum, x) => sum + (x[d] ?? 0), 0) / all.length);
    const [zeros, means] = await measure({ zeros: silentSae(new Float32Array(D)), means: silentSae(mean) }, texts);
    if (zeros === undefined || means === undefined) throw new Error("two are expected");
    expect(zeros.lossSpliced).toBe(zeros.lossZero);
    expect(Math.abs(zeros.lossRecovered ?? 1)).toBe(0);
    expect([zeros.l0, zeros.l1, zeros.dead]).toEqual([0, 0, 4]);
    expect(zeros.normalisedError).toBeCloseTo(1, 6);
    expect(zeros.fve).toBeLessThan(0);
    expect(means.fve).toBeCloseTo(0, 5);
  });

  test("numbers of texts of different lengths equal plain loops over their tokens", async () => {
    const texts = someTexts(41);
    const sae = randomSae(20);
    const [got] = await measure({ sae }, texts);
    const all = await activations(texts);
    const expected = plainNumbers(sae, all);
    expect(got?.tokens).toBe(all.length);
    expect(got?.l0).toBeCloseTo(expected.l0, 6);
    expect(got?.l1).toBeCloseTo(expected.l1, 5);
    expect(got?.fve).toBeCloseTo(expected.fve, 5);
    expect(got?.meanSquaredError).toBeCloseTo(expected.meanSquaredError, 5);
    expect(got?.dead).toBe(expected.density.filter((share) => share === 0).length);
    expect(got?.dead).toBeGreaterThan(0);
    for (const [f, share] of expected.density.entries()) expect(got?.density[f]).toBeCloseTo(share, 6);
  });

  test("tokens that are skipped at the start of a text are neither counted nor replaced", async () => {
    const texts = someTexts(7).filter(({ length }) => length > 0);
    const sae = randomSae(12);
    const options = { device, model, saes: [{ id: "x", layer, site, sae }], contextLength: 30 };
    const [skipped] = await measureSaes({ ...options, texts, skip: 1 });
    const rest: Float32Array[] = [];
    for (const text of texts) rest.push(...(await activations([text])).slice(1));
    const { density, ...expected } = plainNumbers(sae, rest);
    expect(skipped?.tokens).toBe(rest.length);
    for (const [name, value] of Object.entries(expected))
      expect(skipped).toHaveProperty(name, expect.closeTo(value, 4));
    // Of texts of two tokens only the first predicts anything.
    const two = texts.flatMap((text) => (text.length < 2 ? [] : [text.slice(0, 2)]));
    const [untouched] = await measureSaes({ ...options, texts: two, skip: 1 });
    expect([untouched?.lossZero, untouched?.lossSpliced]).toEqual([untouched?.lossClean, untouched?.lossClean]);
    const [replaced] = await measureSaes({ ...options, texts: two });
    expect(replaced?.lossSpliced).not.toBeCloseTo(replaced?.lossClean ?? 0, 3);
  });

  test("a measurement that was cut goes on from what it had counted, to the same numbers", async () => {
    const options = {
      device,
      model,
      saes: [12, 20].map((F) => ({ id: `${F} features`, layer, site, sae: randomSae(F) })),
      texts: someTexts(41),
      contextLength: 30,
    };
    const kept: string[] = [];
    const whole = await measureSaes({
      ...options,
      onBatch: async (_, counts) => {
        kept.push(JSON.stringify(counts()));
      },
    });
    expect(kept.length).toBeGreaterThan(1);
    for (const [at, json] of kept.entries()) {
      const known = qualityCountsSchema.parse(JSON.parse(json));
      const again: string[] = [];
      const onBatch = async (_: number, counts: () => QualityCounts): Promise<void> => {
        again.push(JSON.stringify(counts()));
      };
      expect(await measureSaes({ ...options, known, onBatch })).toEqual(whole);
      expect(again).toEqual(kept.slice(at + 1));
    }
  });

  test("a layer that the model lacks is refused", async () => {
    const saes = [{ id: "x", layer: 3, site, sae: identitySae() }];
    await expect(measureSaes({ device, model, saes, texts: someTexts(2), contextLength: 30 })).rejects.toBeInstanceOf(
      UnknownLayerError,
    );
  });

  /** Activations of every token, each text alone in its batch and cut to the context of 30. */
  async function activations(texts: readonly Int32Array[]): Promise<Float32Array[]> {
    const all: Float32Array[] = [];
    for (const text of texts) {
      const ids = text.slice(0, 30);
      if (ids.length === 0) continue;
      const shape = [1, ids.length] as const;
      const tap = forward(model.model, { shape }).layers[layer]?.activations[site];
      if (tap === undefined) throw new Error("the layer is not there");
      const program = await device.compile({ stores: [model.model.store], outputs: { tap } });
      const values = Float32Array.from((await program.run({ ids, positions: plainPositions(shape) }))["tap"] ?? []);
      for (let t = 0; t < ids.length; t++) all.push(values.subarray(t * D, (t + 1) * D));
      await program.dispose();
    }
    return all;
  }
});

test("variation gathered in batches equals that of all at once", async () => {
  const random = Random.fromSeed(2);
  const all = Array.from({ length: 50 }, () => [1e4 + random.normal(), random.normal()]);
  const whole = momentsOf(all);
  const gathered = new Moments();
  for (const [from, to] of [
    [0, 1],
    [1, 1],
    [1, 30],
    [30, 50],
  ]) {
    const part = all.slice(from, to);
    const { mean, variation } = momentsOf(part);
    gathered.add(part.length, mean, variation);
  }
  expect(gathered.variation).toBeCloseTo(whole.variation, 6);
});

test("a dictionary that holds another one's features is wholly similar to it", async () => {
  const big = randomSae(20);
  const shuffled = Random.fromSeed(1)
    .shuffled([...Array(20).keys()])
    .slice(0, 8);
  const decoder = Float32Array.from(shuffled.flatMap((f) => [...big.decoder.subarray(f * D, (f + 1) * D)]));
  const { mean, matches } = await dictionarySimilarity({ ...big, F: 8, decoder }, big);
  expect(mean).toBeCloseTo(1, 6);
  for (const match of matches) expect(match.big).toBe(shuffled[match.small]);
});

/** 0 to 39 tokens each, one text of a single token. */
function someTexts(count: number): Int32Array[] {
  const random = Random.fromSeed(count);
  return Array.from({ length: count }, (_, at) =>
    Int32Array.from({ length: at === 0 ? 1 : random.integer(40) }, () => random.integer(97)),
  );
}

/** x = relu(x) - relu(-x). */
function identitySae(): Sae {
  const decoder = new Float32Array(2 * D * D);
  for (let d = 0; d < D; d++) {
    decoder[d * D + d] = 1;
    decoder[(D + d) * D + d] = -1;
  }
  const biases = { encoderBias: new Float32Array(2 * D), decoderBias: new Float32Array(D) };
  return { D, F: 2 * D, activation: { kind: "relu" }, encoder: decoder, decoder, ...biases };
}

/** No feature ever fires. */
function silentSae(decoderBias: Float32Array): Sae {
  const decoder = unitRows(new Float32Array(4 * D).fill(1), D);
  const encoderBias = new Float32Array(4).fill(-1e6);
  return { D, F: 4, activation: { kind: "relu" }, encoder: decoder, encoderBias, decoder, decoderBias };
}

function randomSae(F: number): Sae {
  const random = Random.fromSeed(F);
  const draw = (count: number, scale: number): Float32Array =>
    Float32Array.from({ length: count }, () => scale * random.normal());
  const encoderBias = draw(F, 0.01);
  encoderBias.fill(-1e3, 0, 2);
  const decoder = unitRows(draw(F * D, 1), D);
  return {
    D,
    F,
    activation: { kind: "topk", k: 6 },
    encoder: draw(F * D, 0.3),
    encoderBias,
    decoder,
    decoderBias: draw(D, 0.01),
  };
}

function plainNumbers(
  { F, encoder, encoderBias, decoder, decoderBias }: Sae,
  xs: readonly Float32Array[],
): { l0: number; l1: number; fve: number; meanSquaredError: number; density: number[] } {
  const fired = new Array<number>(F).fill(0);
  let [squares, l1] = [0, 0];
  for (const x of xs) {
    const sums = Array.from({ length: F }, (_, f) =>
      x.reduce((sum, value, d) => sum + value * (encoder[f * D + d] ?? 0), encoderBias[f] ?? 0),
    );
    const least = sums.toSorted((a, b) => b - a)[5] ?? 0;
    const features = sums.map((sum) => (sum >= least ? Math.max(0, sum) : 0));
    for (const [f, feature] of features.entries()) {
      l1 += feature;
      fired[f] = (fired[f] ?? 0) + (feature > 0 ? 1 : 0);
    }
    for (let d = 0; d < D; d++) {
      const made = features.reduce((sum, feature, f) => sum + feature * (decoder[f * D + d] ?? 0), decoderBias[d] ?? 0);
      squares += (made - (x[d] ?? 0)) ** 2;
    }
  }
  const n = xs.length;
  const { variation } = momentsOf(xs.map((x) => [...x]));
  return {
    l0: fired.reduce((a, b) => a + b, 0) / n,
    l1: l1 / n,
    fve: 1 - squares / variation,
    meanSquaredError: squares / (n * D),
    density: fired.map((count) => count / n),
  };
}

function momentsOf(rows: readonly (readonly number[])[]): { mean: number[]; variation: number } {
  const width = rows[0]?.length ?? 0;
  const mean = Array.from({ length: width }, (_, d) => rows.reduce((sum, row) => sum + (row[d] ?? 0), 0) / rows.length);
  const variation = rows.reduce(
    (sum, row) => sum + row.reduce((own, value, d) => own + (value - (mean[d] ?? 0)) ** 2, 0),
    0,
  );
  return { mean, variation };
}
