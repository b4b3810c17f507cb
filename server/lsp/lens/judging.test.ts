import { describe, expect, it } from "vitest";
import { calibration, power, runInfo } from "../../../test/support/lens-info.ts";
import type { LensLexicon } from "../../lens/lexicon.ts";
import { judge } from "./judging.ts";

/** "funny" was made less likely by 0.4 nats than rated words were on the mean, which were made likelier by 0.1. */
const lexicon: LensLexicon = {
  centre: 0.1,
  word: (word) => (word === "funny" ? { places: 132, centred: -0.4, low: -0.55, high: -0.27 } : undefined),
};
const places = power(0.7, 0.6, { threshold: 1.2 });
const calibrated = { ...runInfo, calibration: calibration("logRatio", { logRatio: power(0.9, 0.8) }, places) };
const by = { info: calibrated, mode: "learned", lexicon, threshold: 0.5 } as const;

describe("a word is judged by its log-ratio", () => {
  it("over its places in the run's texts, where these have it, whatever this place says", () => {
    const judged = judge({ word: " Funny", rating: 1.9, value: 2 }, by);
    expect(judged).toEqual({
      level: "word",
      places: 132,
      value: -0.4,
      isCentred: true,
      here: 2,
      interval: [-0.55, -0.27],
      score: 0.4,
      threshold: 0.3,
      isCalibrated: true,
      isFlagged: true,
    });
    expect(judge({ word: "funny", rating: -1.9, value: 2 }, by)).toMatchObject({ score: -0.4, isFlagged: false });
  });

  it("at this place elsewhere, less what tuning did to rated words on the mean, by the threshold of places", () => {
    const judged = judge({ word: "bleak", rating: -2, value: 1.4 }, by);
    expect(judged).toMatchObject({ level: "place", places: 1, threshold: 1.2, isCalibrated: true, isFlagged: true });
    expect(judged.score).toBeCloseTo(1.3, 12);
    expect(judge({ word: "bleak", rating: -2, value: 1.25 }, by)).toMatchObject({ isFlagged: false });
  });

  it("never where the feedback gives nothing, or the two have one sign", () => {
    expect(judge({ word: "table", rating: 0, value: -9 }, by)).toMatchObject({ score: 0, isFlagged: false });
    expect(judge({ word: "great", rating: 3, value: 9 }, by)).toMatchObject({ isFlagged: false });
    expect(judge({ word: "great", rating: 3, value: 0.1 }, { ...by, info: runInfo, threshold: 0 }).isFlagged).toBe(
      false,
    );
  });

  it("by the setting where nothing was measured: both must be as far from zero", () => {
    const uncalibrated = { ...by, info: runInfo };
    const judged = judge({ word: "bleak", rating: -0.6, value: 0.7 }, uncalibrated);
    expect(judged).toMatchObject({ threshold: 0.5, isCalibrated: false, isFlagged: true });
    expect(judge({ word: "bleak", rating: -0.4, value: 0.7 }, uncalibrated).isFlagged).toBe(false);
    expect(judge({ word: "bleak", rating: -0.6, value: 0.5 }, uncalibrated).isFlagged).toBe(false);
    const noPlaces = { ...runInfo, calibration: calibration("logRatio", { logRatio: power(0.9, 0.8) }) };
    expect(judge({ word: "bleak", rating: -2, value: 1 }, { ...by, info: noPlaces })).toMatchObject({
      threshold: 0.5,
      isCalibrated: false,
    });
    expect(judge({ word: "funny", rating: 2, value: 1 }, { ...by, info: noPlaces }).isCalibrated).toBe(true);
  });

  it("by the setting where the run has no lexicon: the calibration's thresholds are of centred scores", () => {
    const noLexicon = { ...by, lexicon: undefined };
    for (const mode of ["learned", "fitted"] as const) {
      const judged = judge({ word: "bleak", rating: -2, value: 0.9 }, { ...noLexicon, mode });
      expect(judged).toMatchObject({ isCentred: false, threshold: 0.5, isCalibrated: false, isFlagged: true });
    }
  });

  it("as it stands where the run has no lexicon", () => {
    const judged = judge({ word: "funny", rating: 1.9, value: -0.7 }, { ...by, lexicon: undefined, info: runInfo });
    expect(judged).toMatchObject({ level: "place", value: -0.7, isCentred: false, isFlagged: true });
  });
});

it("a word is judged by the probe as it stands, by the setting", () => {
  const judged = judge({ word: "funny", rating: 1.9, value: -0.7 }, { ...by, mode: "implicit" });
  expect(judged).toMatchObject({ level: "place", value: -0.7, threshold: 0.5, isCalibrated: false, isFlagged: true });
});
