import { expect, test } from "vitest";
import type { LensEvidence } from "./subject.ts";
import { displayLimit } from "./values.ts";

const evidence: LensEvidence = {
  kind: "regression",
  seenInTuning: () => undefined,
  signAccuracy: { positive: null, negative: null },
  tau: null,
  typicalSize: 0.5,
  typicalRating: 4,
};

test("colours of the true reward are full at the size that the lexicon gives, those of readings at the readings' own", () => {
  const limits = (own: LensEvidence) =>
    (["true", "disagreement", "implicit"] as const).map((kind) => displayLimit({ evidence: own }, { kind }, []));
  expect(limits(evidence)).toEqual([4, 4.5, 0.5]);
  expect(limits({ ...evidence, typicalRating: null })).toEqual([0.5, 1, 0.5]);
});
