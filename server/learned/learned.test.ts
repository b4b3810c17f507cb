/** Against PyTorch, scipy and scikit-learn (test/fixtures/learned), and against what must hold. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "../models/checkpoint.ts";
import type { ModelPair } from "../models/log-ratio.ts";
import { LearnedCollection, type LearnedPlaces } from "./collect.ts";
import { learnedLexicon } from "./lexicon.ts";
import { type RatedWord, wordPlaces } from "./places.ts";

const place = z.object({ word: z.string(), rating: z.number(), from: z.int(), to: z.int(), logRatio: z.number() });
const oracle = z
  .object({
    texts: z.array(z.object({ ids: z.array(z.int()), places: z.array(place), kl: z.number() })),
    means: z.record(z.string(), z.number()),
    centre: z.number(),
    tau: z.number(),
    auroc: z.number(),
    kl: z.number(),
  })
  .parse(JSON.parse(readFileSync(new URL("../../test/fixtures/learned/learned.json", import.meta.url), "utf8")));
const texts = oracle.texts.map(({ ids, places }) => ({ ids: Int32Array.from(ids), places }));
const settings = { minPlaces: 1, resamples: 200 };

describe("two models over texts", () => {
  let device: Device;
  let pair: ModelPair;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
    pair = {
      tuned: await loadModel(device, modelFolder("gpt-neox"), { prefix: "tuned." }),
      base: await loadModel(device, modelFolder("gpt-neox-sequential")),
    };
  });
  afterAll(() => device.close());

  const collected = async (collection: LearnedCollection): Promise<LearnedPlaces> => {
    while (await collection.step());
    return await collection.finish();
  };

  it("give PyTorch's log-ratio at every place and its divergence of every text", async () => {
    const found = await collected(new LearnedCollection(texts, { device, pair, tokensPerRun: 96 }));
    const places = oracle.texts.flatMap((text) => text.places);
    expect(found.logRatio).toHaveLength(places.length);
    for (const [at, { word, logRatio }] of places.entries()) {
      expect(found.logRatio[at]).toBeCloseTo(logRatio, 4);
      expect(found.words[found.word[at] ?? -1]?.word).toBe(word);
    }
    for (const [at, { kl, ids }] of oracle.texts.entries()) {
      expect((found.kl?.[at] ?? Number.NaN) / kl).toBeCloseTo(1, 4);
      expect(found.tokens[at]).toBe(ids.length - 1);
    }
  });

  it("give scipy's tau-b and scikit-learn's AUROC of the words' means with their ratings", async () => {
    const found = await collected(new LearnedCollection(texts, { device, pair }));
    const { words, centre, statistics, kl } = await learnedLexicon(found, settings, Random.fromSeed(1));
    for (const { word, mean, centred } of words) {
      expect(mean).toBeCloseTo(oracle.means[word] ?? Number.NaN, 4);
      expect(centred).toBeCloseTo(mean - oracle.centre, 4);
    }
    expect(words).toHaveLength(10);
    expect(centre).toBeCloseTo(oracle.centre, 4);
    expect(statistics.tau.value).toBeCloseTo(oracle.tau, 12);
    expect(statistics.auroc.value).toBeCloseTo(oracle.auroc, 12);
    expect(kl.value).toBeCloseTo(oracle.kl, 4);
    const bare = await collected(new LearnedCollection(texts, { device, pair, kl: false }));
    expect((await learnedLexicon(bare, settings, Random.fromSeed(1))).kl).toEqual({
      value: null,
      low: null,
      high: null,
    });
    expect([...bare.logRatio]).toEqual([...found.logRatio].map((value) => expect.closeTo(value, 5)));
  });

  it("leave out places about which one of the models says nothing", async () => {
    const collection = new LearnedCollection(texts, { device, pair });
    while (await collection.step());
    const { logRatio, kl } = collection.captured();
    const missing = logRatio.map((value, at) => (at === 1 ? Number.NaN : value));
    const second = new LearnedCollection(texts, { device, pair });
    second.restore(collection.done, { logRatio: missing, kl });
    const found = await second.finish();
    expect([...found.logRatio]).toEqual([logRatio[0], ...logRatio.slice(2)]);
    expect([found.word.length, found.text.length]).toEqual(Array(2).fill(logRatio.length - 1));
  });

  it("give the same however the work is cut", async () => {
    const whole = await collected(new LearnedCollection(texts, { device, pair, tokensPerRun: 96 }));
    const first = new LearnedCollection(texts, { device, pair, tokensPerRun: 96 });
    await first.step();
    await first.step();
    const kept = Object.fromEntries(Object.entries(first.captured()).map(([name, array]) => [name, array.slice()]));
    const { done, doneTexts } = first;
    await first.dispose();
    const second = new LearnedCollection(texts, { device, pair, tokensPerRun: 96 });
    second.restore(done, kept);
    expect([second.done, second.doneTexts]).toEqual([2, doneTexts]);
    expect(await collected(second)).toEqual(whole);
  });

  it("are not finished before their last batch, nor gone on with from another collection's numbers", async () => {
    const collection = new LearnedCollection(texts, { device, pair, tokensPerRun: 96 });
    await collection.step();
    const { logRatio, kl } = collection.captured();
    await expect(collection.finish()).rejects.toThrow(/before its last batch/);
    const refused = (done: number, captured: Parameters<LearnedCollection["restore"]>[1]) => () =>
      collection.restore(done, captured);
    expect(refused(99, { logRatio, kl })).toThrow(/99 of \d+ batches cannot be done/);
    expect(refused(-1, { logRatio, kl })).toThrow(/-1 of/);
    for (const captured of [
      { logRatio },
      { kl },
      {},
      { kl, logRatio: logRatio.slice(1) },
      { logRatio, kl: kl.slice(1) },
    ])
      expect(refused(1, captured)).toThrow(/not of this collection/);
    expect(collection.done).toBe(1);
  });
});

describe("pieces of words", () => {
  // "so very good, bad" as so | _very | _go | od | , | _bad
  const ranges = [
    { start: 0, end: 2 },
    { start: 2, end: 7 },
    { start: 7, end: 10 },
    { start: 10, end: 12 },
    { start: 12, end: 13 },
    { start: 13, end: 17 },
  ];
  const rated = (word: string, start: number, end: number): RatedWord => ({ word, rating: 1, start, end });
  const words = [rated("so", 0, 2), rated("good", 8, 12), rated("bad", 14, 17)];
  const spans = (prefix: number, tokens: number) =>
    wordPlaces(words, ranges, { prefix, tokens }).map(({ word, from, to }) => [word, from, to]);

  it("are the tokens that overlap them, after the prefix", async () => {
    expect(spans(1, 6)).toEqual([
      ["so", 1, 2],
      ["good", 3, 5],
      ["bad", 6, 7],
    ]);
  });

  it("begin after something, and are read to their end", async () => {
    expect(spans(0, 6).map(([word]) => word)).toEqual(["good", "bad"]);
    expect(spans(1, 5).map(([word]) => word)).toEqual(["so", "good"]);
    expect(spans(1, 3).map(([word]) => word)).toEqual(["so"]);
  });
});

/** So many texts with one place of each of some words; log-ratios are the word's own plus noise. */
function planted(count: number, means: readonly number[], noise: (text: number) => number): LearnedPlaces {
  const places = Array.from({ length: count }, (_, text) => means.map((own, word) => ({ text, word, own }))).flat();
  return {
    words: means.map((own, at) => ({ word: `w${at}`, rating: Math.sign(own) })),
    word: Int32Array.from(places, ({ word }) => word),
    text: Int32Array.from(places, ({ text }) => text),
    logRatio: Float64Array.from(places, ({ own, text }) => own + noise(text)),
    kl: new Float64Array(count).fill(2),
    tokens: new Int32Array(count).fill(4),
  };
}

describe("the learned lexicon", () => {
  const random = Random.fromSeed(3);
  const many = { minPlaces: 20, resamples: 1000 };

  it("has intervals as wide as the normal approximation says where places are independent", async () => {
    const deviates = Array.from({ length: 200 }, () => random.normal());
    const found = planted(200, [1, -1], (text) => deviates[text] ?? 0);
    // The noise is the text's, so that it cancels in the centred means; of one word alone it does not.
    const { words } = await learnedLexicon(found, many, Random.fromSeed(1));
    for (const { centred, low, high } of words)
      expect([low, high].map((end) => (end ?? 9) - centred)).toEqual([expect.closeTo(0, 9), expect.closeTo(0, 9)]);
    const apart = { ...found, logRatio: found.logRatio.map(() => random.normal()) };
    const wide = (await learnedLexicon(apart, many, Random.fromSeed(1))).words;
    // Half the difference of two means of 200 standard normal values.
    for (const { low, high } of wide)
      expect(Math.abs(((high ?? 0) - (low ?? 0)) / ((2 * 1.96) / Math.sqrt(400)) - 1)).toBeLessThan(0.12);
  });

  it("is not surer of a text that is long: places of one text are drawn together", async () => {
    const draw = Array.from({ length: 100 }, () => random.normal());
    const sparse = planted(100, [1, -1], () => 0);
    const single = {
      ...sparse,
      logRatio: sparse.logRatio.map((value, at) =>
        sparse.word[at] === 0 ? value + (draw[sparse.text[at] ?? 0] ?? 0) : value,
      ),
    };
    const tripled = (values: Int32Array | Float64Array): number[] =>
      [...values].flatMap((value) => [value, value, value]);
    const repeated: LearnedPlaces = {
      ...single,
      word: Int32Array.from(tripled(single.word)),
      text: Int32Array.from(tripled(single.text)),
      logRatio: Float64Array.from(tripled(single.logRatio)),
    };
    const both = [single, repeated].map((found) => learnedLexicon(found, many, Random.fromSeed(1)));
    const [once, thrice] = (await Promise.all(both)).map(({ words }) => words);
    expect(thrice?.map(({ low, high }) => [low, high])).toEqual(
      once?.map(({ low, high }) => [expect.closeTo(low ?? 9, 9), expect.closeTo(high ?? 9, 9)]),
    );
    expect([once?.[0]?.places, thrice?.[0]?.places, thrice?.[0]?.texts]).toEqual([100, 300, 100]);
  });

  it("counts words with enough places only, and says null where nothing can be said", async () => {
    const found = planted(30, [2, 1, -1, -2], () => 0);
    const { statistics, centre, kl } = await learnedLexicon(found, many, Random.fromSeed(1));
    expect(statistics).toMatchObject({
      words: 4,
      tau: { value: expect.closeTo(Math.sqrt(2 / 3), 12) },
      auroc: { value: 1, low: 1, high: 1 },
      signs: { positive: { right: 2, of: 2 }, negative: { right: 2, of: 2 } },
    });
    expect([centre, kl]).toEqual([0, { value: 0.5, low: 0.5, high: 0.5 }]);
    const few = await learnedLexicon(found, { ...many, minPlaces: 31 }, Random.fromSeed(1));
    expect(few.statistics).toEqual({
      words: 0,
      tau: { value: null, low: null, high: null },
      auroc: { value: null, low: null, high: null },
      signs: {
        positive: { right: 0, of: 0, share: null, low: 0, high: 1 },
        negative: { right: 0, of: 0, share: null, low: 0, high: 1 },
      },
    });
    expect(few.words).toHaveLength(4);
    const nothing = planted(30, [0, 0], () => 0);
    expect((await learnedLexicon(nothing, many, Random.fromSeed(1))).statistics.tau.value).toBeNull();
    expect(
      await learnedLexicon(
        planted(0, [], () => 0),
        many,
        Random.fromSeed(1),
      ),
    ).toMatchObject({ words: [], texts: 0, centre: 0 });
  });

  it("has no interval for a word that few resamples have", async () => {
    const found = planted(30, [1, -1], () => 0);
    const rare = {
      ...found,
      word: found.word.map((word, at) => (at === 0 ? 2 : word)),
      words: [...found.words, { word: "rare", rating: 1 }],
    };
    const { words } = await learnedLexicon(rare, many, Random.fromSeed(1));
    expect(words.find(({ word }) => word === "rare")).toMatchObject({ places: 1, low: null, high: null });
  });
});
