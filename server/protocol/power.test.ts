import { describe, expect, it } from "vitest";
import { calibration, pairInfo as pair, power, runInfo as run } from "../../test/support/lens-info.ts";
import { ReadingPower } from "./calibration.ts";
import { readingChosen, readingMode, trustSentence, whyNotOffered } from "./power.ts";

describe("the reading that stands for what was learned", () => {
  it("is without a calibration the log-ratio, and without a base model the probe", () => {
    expect(readingMode(run, "auto")).toBe("learned");
    expect(readingMode({ ...run, hasBase: false }, "auto")).toBe("implicit");
    expect(readingMode(pair, "auto")).toBe("learned");
  });

  it("is with a calibration the best one that the run has, and the next one where it lacks that", () => {
    const probe = calibration("probeByWord", { logRatio: power(0.7, 0.6), probeByWord: power(0.9, 0.8) });
    expect(readingMode({ ...run, calibration: probe }, "auto")).toBe("implicit");
    const fitted = calibration("fittedLogRatio", { logRatio: power(0.9, 0.8), fittedLogRatio: power(0.95, 0.9) });
    expect(readingMode({ ...run, hasFitted: true, calibration: fitted }, "auto")).toBe("fitted");
    expect(readingMode({ ...run, calibration: fitted }, "auto")).toBe("learned");
    const difference = calibration("tunedMinusBase", {
      logRatio: power(0.7, 0.6),
      probeByTriple: power(0.8, 0.7),
      tunedMinusBase: power(0.95, 0.9),
    });
    expect(readingMode({ ...run, calibration: difference }, "auto")).toBe("tunedMinusBase");
    expect(readingMode({ ...run, calibration: difference, hasBase: false }, "auto")).toBe("implicit");
  });

  it("is chosen by the figures that are quoted of it: not the probe for what it knows of words that it saw", () => {
    const seen = calibration("probeByTriple", {
      logRatio: power(0.7, 0.6),
      probeByTriple: power(0.95, 0.9),
      probeByWord: power(0.5, 0.4),
    });
    expect(readingMode({ ...run, calibration: seen }, "auto")).toBe("learned");
    const unseen = calibration("probeByTriple", {
      logRatio: power(0.7, 0.6),
      probeByTriple: power(0.95, 0.9),
      probeByWord: power(0.8, 0.7),
    });
    expect(readingMode({ ...run, calibration: unseen }, "auto")).toBe("implicit");
    const only = calibration("probeByTriple", { probeByTriple: power(0.95, 0.9) });
    expect(readingMode({ ...run, calibration: only }, "auto")).toBe("learned");
  });

  it("is as without a calibration where that found none", () => {
    const none = calibration(null, { logRatio: power(0.5, 0.4), probeByWord: power(0.52, 0.42) });
    expect(readingMode({ ...run, calibration: none }, "auto")).toBe("learned");
    const chance = calibration("logRatio", { logRatio: power(0.9, 0.8), probeByWord: power(0.56, 0.44) });
    expect(readingMode({ ...run, calibration: chance, hasBase: false }, "auto")).toBe("implicit");
  });

  it("says why it is the one: only what was measured is said to have been", () => {
    const best = calibration("logRatio", { logRatio: power(0.9, 0.8) });
    expect(readingChosen({ ...run, calibration: best }, "auto").why).toBe("measured");
    expect(readingChosen({ ...run, calibration: best }, "implicit").why).toBe("chosen");
    const none = calibration(null, { logRatio: power(0.5, 0.4) });
    for (const info of [run, pair, { ...run, calibration: none }])
      expect(readingChosen(info, "auto")).toEqual({ mode: "learned", why: "unmeasured" });
  });

  it("is the one that somebody chose, where it is to be had", () => {
    const best = calibration("logRatio", { logRatio: power(0.9, 0.8) });
    expect(readingMode({ ...run, calibration: best }, "implicit")).toBe("implicit");
    expect(readingMode({ ...run, hasBase: false }, "learned")).toBe("implicit");
    expect(readingMode(pair, "implicit")).toBe("learned");
  });
});

it("says why a mode is not to be had", () => {
  for (const kind of ["learned", "kl"] as const) expect(whyNotOffered(kind, pair)).toBeUndefined();
  for (const kind of ["implicit", "true", "disagreement", "tunedMinusBase", "feature", "ablatedMinusNot"] as const)
    expect(whyNotOffered(kind, pair)).toMatch(/no probe.*choose a run/);
  const bare = { ...run, hasBase: false, hasTrueReward: false };
  for (const kind of ["learned", "kl", "tunedMinusBase"] as const)
    expect(whyNotOffered(kind, bare)).toMatch(/no base model/);
  expect(whyNotOffered("fitted", bare)).toMatch(/did not fit/);
  expect(whyNotOffered("fitted", { ...bare, hasFitted: true })).toBeUndefined();
  for (const kind of ["true", "disagreement"] as const) expect(whyNotOffered(kind, bare)).toMatch(/rates no words/);
  for (const kind of ["implicit", "feature", "ablatedMinusNot"] as const)
    expect(whyNotOffered(kind, bare)).toBeUndefined();
});

describe("how far to trust a reading", () => {
  const measured = calibration("logRatio", { logRatio: power(0.9, 0.8, { found: { count: 38, of: 50 } }) });

  const word = { level: "word", isAblated: false } as const;
  const place = { level: "place", isAblated: false } as const;

  it("is said of single places with the figures of places, and where these were not measured, so", () => {
    const places = power(0.7, 0.6, { found: { count: 120, of: 400 }, falsePositives: 0.1 });
    const both = calibration("logRatio", { logRatio: power(0.9, 0.8) }, places);
    expect(trustSentence({ ...run, calibration: both }, "learned", place)).toBe(
      "At single places: The log-ratio found 120 of 400 places of planted words in models tuned like this, and flags 1 in 10 others by chance.",
    );
    expect(trustSentence({ ...run, calibration: measured }, "learned", place)).toMatch(
      /^Not calibrated for single places\. Over all places of a word: The log-ratio found 38 of 50 planted words/,
    );
  });

  it("is said not to be known of an ablated model", () => {
    const ablated = trustSentence({ ...run, calibration: measured }, "learned", { ...word, isAblated: true });
    expect(ablated).toMatch(/is of models without an ablation: .* was not measured\.$/);
    expect(ablated).not.toContain("38");
  });

  it("is said with the figures that were measured", () => {
    expect(trustSentence({ ...run, calibration: measured }, "learned", word)).toBe(
      "The log-ratio found 38 of 50 planted words in models tuned like this, and flags 1 in 20 others by chance.",
    );
    expect(trustSentence({ ...run, calibration: measured }, "implicit", word)).toMatch(/did not measure the probe/);
    const none = calibration("logRatio", { logRatio: power(0.9, 0.8, { falsePositives: 0 }) });
    expect(trustSentence({ ...run, calibration: none }, "learned", word)).toMatch(/without any it flagged none\.$/);
  });

  it("is not said of flags where no threshold was measured", () => {
    const unmeasured = { threshold: null, found: { count: null, of: 50 }, falsePositives: null };
    const nulls = calibration("logRatio", { logRatio: power(0.9, 0.8, unmeasured) });
    expect(trustSentence({ ...run, calibration: nulls }, "learned", word)).toBe(
      "The log-ratio sets planted words above others with an AUROC of 0.90. How many it finds was not measured: the run's calibration tuned no model without planted words (lfp calibrate --nulls), so it has no threshold.",
    );
    const earlier = ReadingPower.parse(power(0.9, 0.8, { ...unmeasured, found: { count: 0, of: 50 } }));
    expect(earlier.found).toEqual({ count: null, of: 50 });
    expect(ReadingPower.parse(power(0.9, 0.8)).found).toEqual({ count: 8, of: 10 });
  });

  it("is said not to be known where nothing was measured", () => {
    expect(trustSentence(run, "learned", word)).toMatch(/^This run has no calibration: .* was not measured/);
    expect(trustSentence(pair, "learned", word)).toMatch(/was not measured for these two checkpoints/);
    const unplanted = calibration(null, { logRatio: power(0.5, 0.4, { found: { count: 0, of: 0 } }) });
    expect(trustSentence({ ...run, calibration: unplanted }, "learned", word)).toMatch(/planted no words/);
  });
});
