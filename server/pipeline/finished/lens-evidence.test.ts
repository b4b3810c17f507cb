import { beforeAll, expect, test } from "vitest";
import { plantedTriples } from "../../../test/support/planted-triples.ts";
import { evaluateProbe } from "../../probe/regression.ts";
import { defaultProbeSettings, type RegressionReport } from "../../probe/report-types.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";
import { evidenceOf } from "./lens-evidence.ts";

const ratings: WordRatings = {
  lexicon: "made",
  values: new Map([
    ["good", 2],
    ["bad", -2],
  ]),
  range: { low: -2, high: 2 },
  typicalSize: 1.5,
  highReward: 1,
  rated: () => [],
};

let report: RegressionReport;
beforeAll(async () => {
  const planted = plantedTriples({ triples: 60, words: 6, columns: 5, signal: 1, identity: 0.1, noise: 0.1, seed: 1 });
  const settings = { ...defaultProbeSettings, resamples: 2, permutations: 9, xavierSeeds: 0, labelShuffles: 0 };
  ({ report } = await evaluateProbe(planted, { ...settings, foldDraws: 1, refits: 0 }));
});

test("colours are full at the size that nineteen of twenty words' readings stay below, and ratings at the lexicon's own", () => {
  const { typicalSize, typicalRating } = evidenceOf(report, ratings);
  const sizes = report.byWord.lexicon.map(({ predicted }) => Math.abs(predicted)).toSorted((a, b) => a - b);
  expect(sizes.length).toBe(12);
  // Linearly interpolated at 0.95 of the way from the first to the last.
  const at = 0.95 * 11;
  const [below = 0, above = 0] = sizes.slice(Math.floor(at));
  expect(typicalSize).toBeCloseTo(below + (at - Math.floor(at)) * (above - below), 12);
  expect(typicalRating).toBe(1.5);
});

test("a feedback that rates no words has no size of ratings; where no word was read either, the size is 1", () => {
  expect(evidenceOf(report, undefined)).toMatchObject({ kind: "regression", typicalRating: null });
  const unread = { ...report, byWord: { ...report.byWord, lexicon: [] } };
  expect(evidenceOf(unread, undefined).typicalSize).toBe(1);
  expect(evidenceOf(unread, ratings).typicalSize).toBe(2);
});
