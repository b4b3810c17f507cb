import { expect, test } from "vitest";
import { plantedTriples } from "../../test/support/planted-triples.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import { activationDeltas, rewardScale, toRewardRange } from "./deltas.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import { probeRewards } from "./linear-probe.ts";
import { evaluateProbe, partsOf } from "./regression.ts";
import { defaultProbeSettings, type ProbeSettings, probeReportSchema } from "./report-types.ts";
import type { PartStore } from "./saved-parts.ts";
import { UnratedWordError } from "./word-means.ts";

const settings: ProbeSettings = {
  ...defaultProbeSettings,
  seed: 3,
  resamples: 200,
  permutations: 199,
  xavierSeeds: 100,
  labelShuffles: 10,
  foldDraws: 2,
  refits: 99,
};
const plan = { triples: 300, words: 25, columns: 12, signal: 2, identity: 0.3, noise: 0.2, seed: 1 };
const planted = plantedTriples(plan);

/** Words with features of their own and no reward in them, fewer than there are features. */
const meaningless = plantedTriples({
  triples: 300,
  words: 25,
  columns: 60,
  signal: 0,
  identity: 1,
  noise: 0.1,
  seed: 2,
});

test("finds a planted linear reward, for words it knows and for words it never saw", async () => {
  const { report } = await evaluateProbe(planted, settings);
  expect(probeReportSchema.parse(report)).toEqual(report);
  for (const split of [report.byTriple, report.byWord]) {
    expect(split.probe.kendall.tau).toBeGreaterThan(0.85);
    expect(split.probe.kendall.permutationP).toBeCloseTo(1 / 200, 12);
    expect(split.probe.signAccuracy.positive.share).toBe(1);
    expect(split.probe.signAccuracy.negative.share).toBe(1);
    expect(split.probe.samePolarityRanking.positive.share).toBeGreaterThan(0.8);
    expect(split.probe.auroc.value).toBe(1);
  }
  expect(report.byWord.probe.words).toBe(50);
  expect(report.byWord.split.folds.map((fold) => fold.testWordsSeenInTraining)).toEqual([0, 0, 0, 0, 0]);
  expect(report.byTriple.split.folds[0]?.testWordsSeenInTraining).toBe(report.byTriple.split.folds[0]?.testWords);
});

test("shuffled labels and untrained probes score nothing", async () => {
  const { report } = await evaluateProbe(planted, settings);
  for (const split of [report.byTriple, report.byWord]) {
    expect(split.shuffledLabels.seeds).toBe(10);
    const { mean, sd } = split.shuffledLabels.tau;
    expect(Math.abs(mean ?? 1)).toBeLessThan(2 * (sd ?? 0) + 0.1);
    expect(split.untrainedProbe.seeds).toBe(100);
    // The planted direction is one of twelve, so single seeds do find it; their mean does not.
    expect(Math.abs(split.untrainedProbe.tau.mean ?? 1)).toBeLessThan(0.2);
  }
});

test("known words can be remembered without any reward in the features: only the split by word tells", async () => {
  const { report } = await evaluateProbe(meaningless, settings);
  const { byTriple, byWord } = report;
  expect(byTriple.probe.signAccuracy.positive.share).toBeGreaterThan(0.9);
  expect(byTriple.probe.signAccuracy.negative.share).toBeGreaterThan(0.9);
  expect(byTriple.wordMemory.signAccuracy.mean).toBeGreaterThan(0.9);
  expect(byWord.probe.kendall.permutationP).toBeGreaterThan(0.05);
  const { low, high } = byWord.probe.kendall.interval;
  expect(low ?? 1).toBeLessThan(0);
  expect(high ?? -1).toBeGreaterThan(0);
  expect(Math.abs((byWord.wordMemory.signAccuracy.mean ?? 1) - 0.5)).toBeLessThan(0.12);
});

test("baselines go through the same splits", async () => {
  const without = await evaluateProbe(planted, settings);
  const unrewarded = plantedTriples({ ...plan, signal: 0 });
  expect(unrewarded.triples).toEqual(planted.triples);
  const { report } = await evaluateProbe(
    { ...planted, rawActivations: planted.features, baseModel: unrewarded.features },
    settings,
  );
  expect(report.byWord.rawActivations?.kendall.tau).toBe(report.byWord.probe.kendall.tau);
  expect(report.byWord.baseModel?.kendall.tau).toBeLessThan(0.3);
  expect([without.report.byTriple.rawActivations, without.report.byWord.baseModel]).toEqual([null, null]);
});

test("the lexicon holds every tested word once, with its true value and its count in the tuning", async () => {
  const tuningCounts = new Map([["good3", 9]]);
  const { byWord, byTriple } = (await evaluateProbe({ ...planted, tuningCounts }, settings)).report;
  expect(byWord.lexicon.map(({ word }) => word)).toEqual([...planted.ratings.values.keys()].toSorted());
  for (const entry of byWord.lexicon) expect(entry.true).toBe(planted.ratings.values.get(entry.word));
  expect(byWord.lexicon.reduce((sum, { occurrences }) => sum + occurrences, 0)).toBe(600);
  expect(byTriple.lexicon.reduce((sum, { occurrences }) => sum + occurrences, 0)).toBe(120);
  expect(byWord.lexicon.find(({ word }) => word === "good3")?.tuningCount).toBe(9);
  expect(byWord.lexicon.find(({ word }) => word === "bad3")?.tuningCount).toBe(0);
  expect(byWord.frequencyAndError.words).toBe(50);
});

test("the probe given back is the one whose test is reported", async () => {
  const { report, probe, testTriples } = await evaluateProbe(planted, settings);
  const n = planted.triples.length;
  const tested = planted.triples.flatMap(({ id }, index) => (testTriples.includes(id) ? [index] : []));
  expect(tested).toHaveLength(60);
  const rows = Int32Array.from([...tested, ...tested.map((index) => index + n)]);
  const rewards = probeRewards(probe, takeRows(polarRows(planted.features), rows), planted.ratings.range);
  const words = Array.from(
    rows,
    (row) => (row < n ? planted.triples[row]?.positive : planted.triples[row - n]?.negative)?.word,
  );
  for (const { word, predicted } of report.byTriple.lexicon) {
    const own = [...rewards].filter((_, at) => words[at] === word);
    expect(own.reduce((sum, value) => sum + value, 0) / own.length).toBeCloseTo(predicted, 9);
  }
  expect(probe.deltaScale).not.toBeNull();
  expect(probe.outputScale).toBeNull();
});

test("targets are the training deltas on the reward's range: with more features than rows they are met exactly", async () => {
  const wide = plantedTriples({ triples: 20, words: 4, columns: 400, signal: 1, identity: 1, noise: 1, seed: 5 });
  const { probe, testTriples } = await evaluateProbe(wide, { ...settings, alpha: 1e-9, wordFolds: 2 });
  const trained = Int32Array.from(
    wide.triples.flatMap(({ id }, index) => (testTriples.includes(id) ? [] : [index, index + 20])),
  );
  const deltas = activationDeltas(wide.features);
  const scale = rewardScale(Array.from(trained, (row) => deltas[row] ?? Number.NaN));
  expect(probe.deltaScale).toEqual({ low: expect.closeTo(scale.low, 9), high: expect.closeTo(scale.high, 9) });
  const rewards = probeRewards(probe, takeRows(polarRows(wide.features), trained), wide.ratings.range);
  for (const [at, row] of trained.entries())
    expect(rewards[at]).toBeCloseTo(toRewardRange(deltas[row] ?? Number.NaN, scale, wide.ratings.range), 4);
});

test("keeping zero takes away the shift that the unequal ends of the reward's range bring", async () => {
  const noisy = plantedTriples({ ...plan, signal: 0.15, identity: 0.4 });
  const middle = async (normalise: ProbeSettings["normalise"]) => {
    const { lexicon } = (await evaluateProbe(noisy, { ...settings, normalise })).report.byWord;
    return lexicon.reduce((sum, { predicted }) => sum + predicted, 0) / lexicon.length;
  };
  const [shifted, kept] = [await middle("deltas"), await middle("deltasKeepingZero")];
  // The middle of -3.9 and 3.4 is -0.25; clamping both ends takes a little off the difference.
  expect(shifted).toBeLessThan(-0.1);
  expect(kept - shifted).toBeGreaterThan(0.15);
  expect(kept - shifted).toBeLessThan(0.35);
});

test("as published, the predictions are rescaled to the range and rounded", async () => {
  const { report, probe } = await evaluateProbe(planted, { ...settings, normalise: "predictions" });
  expect(probe.deltaScale).toBeNull();
  expect(probe.outputScale).not.toBeNull();
  for (const { predicted } of report.byTriple.lexicon) {
    expect(predicted).toBeGreaterThanOrEqual(-3.9);
    expect(predicted).toBeLessThanOrEqual(3.4);
    expect(predicted * 1000).toBeCloseTo(Math.round(predicted * 1000), 9);
  }
  expect(report.byTriple.probe.signAccuracy.positive.share).toBe(1);
});

test("equal seeds give equal JSON, other seeds other splits", async () => {
  const json = async (seed: number) => JSON.stringify((await evaluateProbe(planted, { ...settings, seed })).report);
  expect(await json(3)).toBe(await json(3));
  expect(await json(4)).not.toBe(await json(3));
});

test("a cut evaluation goes on from its saved parts with the same JSON", async () => {
  const uncut = await evaluateProbe(planted, settings);
  const saved = new Map<string, string>();
  const cutAfter = (limit: number): PartStore => ({
    find: (part) => JSON.parse(saved.get(part) ?? "null"),
    save: async (part, result) => {
      if (saved.size >= limit) throw new Error("cut");
      saved.set(part, JSON.stringify(result));
    },
  });
  for (const limit of [1, 4, 7]) await expect(evaluateProbe(planted, settings, cutAfter(limit))).rejects.toThrow("cut");
  expect(saved.size).toBe(7);
  const resumed = await evaluateProbe(planted, settings, cutAfter(100));
  expect(JSON.stringify(resumed)).toBe(JSON.stringify(uncut));
  expect([...saved.keys()].toSorted()).toEqual([...partsOf({}, settings)].toSorted());
});

/** A log-ratio that is linear in the features, with an offset, for every version. */
function plantedLogRatios({ rows: { data, rows, columns } }: TripleFeatures, weights: readonly number[]): Float32Array {
  return Float32Array.from({ length: rows }, (_, row) =>
    weights.reduce((sum, weight, j) => sum + weight * (data[row * columns + j] ?? 0), 0.7),
  );
}

test("fitted to log-ratios, it gives back a target that is linear in the features, for words it never saw", async () => {
  const weights = [0, 1.5, -2, 0, 0.5];
  const logRatios = plantedLogRatios(planted.features, weights);
  const exact = { ...settings, target: "logRatio" as const, alpha: 1e-6 };
  const { report, probe } = await evaluateProbe({ ...planted, logRatios }, exact);
  expect(probeReportSchema.parse(report)).toEqual(report);
  for (const [j, weight] of [...probe.weights].entries()) expect(weight).toBeCloseTo(weights[j] ?? 0, 4);
  expect(probe.intercept).toBeCloseTo(0.7, 4);
  expect([probe.deltaScale, probe.outputScale]).toEqual([null, null]);
  const { lexicon, probe: scores, meant, refitted } = report.byWord;
  expect(scores.kendall.tau).toBeGreaterThan(0.99);
  expect(scores.agreement?.pearson).toBeCloseTo(1, 6);
  expect(scores.agreement?.r2).toBeCloseTo(1, 6);
  for (const { word, true: truth, predicted, rating, occurrences } of lexicon) {
    const rows = planted.triples.flatMap(({ positive, negative }, at) =>
      [positive, negative].flatMap((one, side) => (one.word === word ? [at + side * planted.triples.length] : [])),
    );
    expect(rows).toHaveLength(occurrences);
    expect(truth).toBeCloseTo(rows.reduce((sum, row) => sum + (logRatios[row] ?? 0), 0) / rows.length, 9);
    expect(predicted).toBeCloseTo(truth, 3);
    expect(rating).toBe(planted.ratings.values.get(word));
  }
  expect(meant?.target.words).toBe(50);
  // The planted weights leave out the column that holds the rating.
  expect(Math.abs(meant?.target.kendall.tau ?? 1)).toBeLessThan(0.4);
  expect(refitted).toMatchObject({ foldDraws: 2, refits: 99, p: 0.01 });
});

test("rows without a log-ratio are left out, and a tuning that did nothing finds nothing", async () => {
  const logRatios = plantedLogRatios(planted.features, [1, 1]);
  const [left, word] = [3, planted.triples[3]?.positive.word];
  logRatios[left] = Number.NaN;
  const fitted = { ...settings, target: "logRatio" as const, labelShuffles: 0, xavierSeeds: 0 };
  const { report } = await evaluateProbe({ ...planted, logRatios }, fitted);
  expect(report.byWord.lexicon.reduce((sum, { occurrences }) => sum + occurrences, 0)).toBe(599);
  const places = planted.triples.filter(({ positive, negative }) =>
    [positive.word, negative.word].includes(word ?? ""),
  );
  expect(report.byWord.lexicon.find((entry) => entry.word === word)?.occurrences).toBe(places.length - 1);
  const still = (await evaluateProbe({ ...planted, logRatios: new Float32Array(900) }, fitted)).report;
  expect(probeReportSchema.parse(still)).toEqual(still);
  expect(still.byWord.probe.kendall).toMatchObject({ tau: null, p: null, permutationP: null });
  expect(still.byWord.refitted).toMatchObject({ p: null, tau: { mean: null } });
});

test("by word, the mean over draws stands out of permuted labels where something was planted, and nowhere else", async () => {
  const { refitted, probe } = (await evaluateProbe(planted, settings)).report.byWord;
  expect(refitted?.taus).toHaveLength(2);
  expect(refitted?.taus[0]).toBeCloseTo(probe.kendall.tau ?? Number.NaN, 6);
  expect(refitted?.p).toBeCloseTo(1 / 100, 12);
  expect(refitted?.permutedHigh).toBeLessThan(0.5);
  const nothing = (await evaluateProbe(meaningless, settings)).report.byWord.refitted;
  expect(nothing?.p).toBeGreaterThan(0.05);
  // Fits of their own let chance reach further than the order of words alone does: sqrt(2 (2n + 5) / 9n(n - 1)) for n = 50 words.
  expect(nothing?.permutedSd).toBeGreaterThan(0.08);
});

test("differences are paired: nothing to an equal input, more than to one without the reward", async () => {
  const unrewarded = plantedTriples({ ...plan, signal: 0 });
  const { byWord, byTriple } = (
    await evaluateProbe({ ...planted, baseModel: unrewarded.features, staticEmbedding: planted.features }, settings)
  ).report;
  expect(byWord.differences?.rawActivations).toBeNull();
  expect(byWord.differences?.staticEmbedding).toMatchObject({
    difference: 0,
    foldDraws: 2,
    interval: { low: 0, high: 0 },
  });
  expect(byWord.differences?.baseModel?.interval.low).toBeGreaterThan(0.3);
  expect(byTriple.differences?.baseModel?.foldDraws).toBe(1);
  expect(byWord.staticEmbedding?.kendall.tau).toBe(byWord.probe.kendall.tau);
});

test("features that say nothing give nulls with reasons, and no NaN", async () => {
  const { rows, ...rest } = planted.features;
  const dead: TripleFeatures = {
    ...rest,
    rows: rowMatrix(new Float32Array(rows.data.length), rows.rows, rows.columns),
  };
  const { report } = await evaluateProbe({ ...planted, features: dead }, settings);
  expect(probeReportSchema.parse(report)).toEqual(report);
  expect(report.features.nonZero).toBe(0);
  expect(report.byWord.probe.kendall).toMatchObject({
    tau: null,
    p: null,
    undefinedBecause: "all predictions are equal",
  });
  expect(report.byWord.probe.signAccuracy.positive.share).toBe(0);
});

test("names a word without a value", async () => {
  const values = new Map(planted.ratings.values);
  values.delete("bad7");
  const ratings = { ...planted.ratings, values };
  await expect(evaluateProbe({ ...planted, ratings }, settings)).rejects.toThrow(UnratedWordError);
  await expect(evaluateProbe({ ...planted, ratings }, settings)).rejects.toThrow(/"bad7"/);
});
