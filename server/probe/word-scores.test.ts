import { expect, test } from "vitest";
import { Random } from "../common/random.ts";
import { lexiconEntrySchema, wordScoresSchema } from "./report-types.ts";
import { frequencyAndError, seedScores, signAccuracy, spread, type WordPrediction, wordScores } from "./word-scores.ts";

const settings = { resamples: 200, permutations: 199 };

/** The paper's Table 9: thirty words, what its probe said of them, and VADER's value. */
const table9: WordPrediction[] = (
  [
    ["eagerly", 1.3, 1.6],
    ["reluctantly", 1.7, -0.4],
    ["fun", 1.9, 2.3],
    ["miserable", -3.3, -2.2],
    ["brilliant", 1.3, 2.8],
    ["terrible", -1.9, -2.1],
    ["yes", 1.9, 1.7],
    ["no", -1.7, -1.2],
    ["funny", 0.7, 1.9],
    ["depressing", -2.4, -1.6],
    ["friend", 1.1, 2.2],
    ["foe", -0.6, -1.9],
    ["masterpiece", 1.3, 3.1],
    ["disaster", -2.4, -3.1],
    ["like", 1.9, 1.5],
    ["dislike", -1.1, -1.6],
    ["won", 3.4, 2.7],
    ["lost", 0.2, -1.3],
    ["interesting", 2.4, 1.7],
    ["boring", -2.8, -1.3],
    ["amazing", 1.3, 2.8],
    ["dreadful", -2.6, -1.9],
    ["despise", -2.5, -1.4],
    ["wonderful", 0.9, 2.7],
    ["good", 1.4, 1.9],
    ["better", 0.9, 1.9],
    ["worse", -1.5, -2.1],
    ["best", 1.7, 3.2],
    ["worst", -1.7, -3.1],
    ["praising", 1.9, 2.5],
  ] as const
).map(([word, predicted, value]) => ({ word, predicted, true: value, occurrences: 2 }));

test("of the paper's Table 9: scipy's tau-b and p, and its signs counted by hand", async () => {
  const scores = await wordScores(table9, settings, Random.fromSeed(1));
  expect(wordScoresSchema.parse(scores)).toEqual(scores);
  expect(scores.kendall.tau).toBeCloseTo(0.5195820930350764, 12);
  expect(scores.kendall.p).toBeCloseTo(8.57931282468651e-5, 12);
  expect([scores.words, scores.positiveWords, scores.negativeWords, scores.occurrences]).toEqual([30, 16, 14, 60]);
  expect(scores.signAccuracy.positive).toMatchObject({ right: 16, of: 16, share: 1, high: 1 });
  expect(scores.signAccuracy.negative).toMatchObject({ right: 12, of: 14 });
  expect(scores.kendall.permutationP).toBeCloseTo(1 / 200, 12);
  expect(scores.kendall.interval.low).toBeGreaterThan(0);
  expect(scores.kendall.interval.low ?? 1).toBeLessThan(0.5195);
  expect(scores.kendall.interval.high ?? 0).toBeGreaterThan(0.5196);
  expect(scores.kendallPositiveOnly.words).toBe(16);
  expect(scores.kendallNegativeOnly.words).toBe(14);
});

test("a perfect reading scores 1 everywhere, a reversed one -1 or 0", async () => {
  const perfect = table9.map((word) => ({ ...word, predicted: word.true / 2 }));
  const scores = await wordScores(perfect, settings, Random.fromSeed(1));
  expect(scores.kendall.tau).toBeCloseTo(1, 12);
  expect(scores.stringTauAsPublished.tau).toBeCloseTo(1, 12);
  expect(scores.spearman.rho).toBeCloseTo(1, 12);
  expect(scores.auroc.value).toBe(1);
  expect(scores.samePolarityRanking.positive.share).toBe(1);
  expect(scores.samePolarityRanking.negative.share).toBe(1);
  expect(scores.signAccuracy.negative.share).toBe(1);
  const reversed = await wordScores(
    perfect.map((word) => ({ ...word, predicted: -word.predicted })),
    settings,
    Random.fromSeed(1),
  );
  expect(reversed.kendall.tau).toBeCloseTo(-1, 12);
  expect(reversed.auroc.value).toBe(0);
  expect(reversed.signAccuracy.positive).toMatchObject({ right: 0, share: 0, low: 0 });
});

test("signs alone: all of tau comes from the polarity when predictions are only signs", async () => {
  const signs = table9.map((word) => ({ ...word, predicted: Math.sign(word.true) }));
  const { signsAlone, kendall, samePolarityRanking } = await wordScores(signs, settings, Random.fromSeed(1));
  expect(signsAlone.tau).toBeCloseTo(kendall.tau ?? Number.NaN, 12);
  expect(signsAlone.shuffledTau).toBeCloseTo(kendall.tau ?? Number.NaN, 12);
  expect(samePolarityRanking.positive.share).toBe(0.5);
});

test("a prediction of zero is a wrong sign", async () => {
  const words = [0, 1, -1].map((predicted) => ({ predicted, true: 2 }));
  expect(signAccuracy(words)).toMatchObject({ right: 1, of: 3 });
});

test.each([
  ["no words", [], /there are none/],
  ["one word", table9.slice(0, 1), /there is one/],
  ["equal predictions", table9.map((word) => ({ ...word, predicted: 1 })), /all predictions are equal/],
  ["equal values", table9.map((word) => ({ ...word, true: 1 })), /all true values are equal/],
])("what is not defined is null and says why: %s", async (_, words, why) => {
  const scores = await wordScores(words, settings, Random.fromSeed(1));
  expect(JSON.stringify(wordScoresSchema.parse(scores))).not.toMatch(/NaN|Infinity/);
  expect(scores.kendall).toMatchObject({ tau: null, p: null, permutationP: null });
  expect(scores.kendall.undefinedBecause).toMatch(why);
  expect(scores.signsAlone.undefinedBecause).toMatch(why);
  expect(scores.spearman.undefinedBecause).toMatch(why);
});

test("the area under the curve needs both polarities", async () => {
  const { auroc } = await wordScores(
    table9.filter((word) => word.true > 0),
    settings,
    Random.fromSeed(1),
  );
  expect(auroc).toEqual({ value: null, undefinedBecause: "there are no words of one of the polarities" });
});

test("the same seed gives the same numbers", async () => {
  const once = await wordScores(table9, settings, Random.fromSeed(5));
  expect(await wordScores(table9, settings, Random.fromSeed(5))).toEqual(once);
  expect((await wordScores(table9, settings, Random.fromSeed(6))).kendall.interval).not.toEqual(once.kendall.interval);
});

test("frequency against error: Spearman over the words with a count", async () => {
  const words = [
    [0, 3],
    [1, 2.5],
    [10, 1],
    [100, 0.5],
  ].map(([tuningCount = 0, error = 0], i) =>
    lexiconEntrySchema.parse({ word: `w${i}`, predicted: 1 + error, true: 1, occurrences: 1, tuningCount }),
  );
  expect(frequencyAndError(words)).toMatchObject({ rho: -1, words: 4, undefinedBecause: null });
  const unknown = words.map((word) => ({ ...word, tuningCount: null }));
  expect(frequencyAndError(unknown)).toMatchObject({ rho: null, words: 0, undefinedBecause: /not given/ });
  const equal = words.map((word) => ({ ...word, tuningCount: 7 }));
  expect(frequencyAndError(equal).undefinedBecause).toBe("all counts are equal");
});

test("scores over seeds are means and sample deviations", async () => {
  const perfect = table9.map((word) => ({ ...word, predicted: word.true }));
  const reversed = table9.map((word) => ({ ...word, predicted: -word.true }));
  expect(seedScores([perfect, reversed])).toEqual({
    seeds: 2,
    tau: { mean: 0, sd: expect.closeTo(Math.SQRT2, 12) },
    positiveSignAccuracy: { mean: 0.5, sd: expect.closeTo(Math.SQRT1_2, 12) },
    negativeSignAccuracy: { mean: 0.5, sd: expect.closeTo(Math.SQRT1_2, 12) },
  });
  expect(spread([Number.NaN, 3])).toEqual({ mean: 3, sd: null });
  expect(spread([])).toEqual({ mean: null, sd: null });
});
