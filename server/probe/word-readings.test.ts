/** The same numbers as the whole evaluation has, which is held to scikit-learn. */
import { describe, expect, it } from "vitest";
import { plantedTriples } from "../../test/support/planted-triples.ts";
import { Random } from "../common/random.ts";
import { evaluateProbe } from "./regression.ts";
import { defaultProbeSettings, type ProbeSettings } from "./report-types.ts";
import { wordReadings } from "./word-readings.ts";

const random = Random.fromSeed(3);
const planted = plantedTriples({ triples: 240, words: 20, columns: 12, signal: 1, identity: 0.3, noise: 0.5, seed: 2 });
const logRatios = Float32Array.from({ length: 3 * 240 }, (_, row) => (row === 7 ? Number.NaN : random.normal()));
const few = { resamples: 2, permutations: 3, xavierSeeds: 1, labelShuffles: 1, foldDraws: 1, refits: 1 };

describe("readings of words", () => {
  it.each(["deltasKeepingZero", "predictions"] as const)(
    "under %s are the lexicons of the probe",
    async (normalise) => {
      const settings: ProbeSettings = { ...defaultProbeSettings, ...few, seed: 4, alpha: 2, normalise };
      const { report } = await evaluateProbe(planted, settings);
      const { byTriple, byWord, fitted } = await wordReadings(planted, settings);
      const lexicon = (split: typeof report.byWord) =>
        new Map(split.lexicon.map(({ word, predicted }) => [word, predicted]));
      expect(byTriple).toEqual(lexicon(report.byTriple));
      expect(byWord).toEqual(lexicon(report.byWord));
      expect(byWord.size).toBe(40);
      expect(fitted.size).toBe(0);
    },
  );

  it("fitted to log-ratios are the lexicon of that fit, rows without one left out", async () => {
    const settings: ProbeSettings = { ...defaultProbeSettings, ...few, seed: 4, alpha: 2, target: "logRatio" };
    const { report } = await evaluateProbe({ ...planted, logRatios }, settings);
    const { fitted, byWord } = await wordReadings({ ...planted, logRatios }, settings);
    expect(byWord).toEqual((await wordReadings(planted, settings)).byWord);
    const whole = new Map(report.byWord.lexicon.map(({ word, predicted }) => [word, predicted]));
    const missing = planted.triples[7]?.positive.word;
    expect([...fitted].filter(([word]) => word !== missing)).toEqual([...whole].filter(([word]) => word !== missing));
    expect(fitted.size).toBe(40);
  });
});
