import { expect, it } from "vitest";
import { AblationFile, AblationSet, ablationInWords, switchedOn } from "./ablation.ts";

const set = (...factors: readonly number[]): AblationSet =>
  AblationSet.parse({
    format: "lfp-ablation/1",
    features: factors.map((factor, at) => ({ id: `L1/F${at}`, factor })),
  });

it.each([
  [null, undefined],
  [set(), undefined],
  [set(1, 1), undefined],
  [set(0), "1 feature ablated"],
  [set(0, 1, 0), "2 features ablated"],
  [set(0.5), "1 feature scaled"],
  [set(2, 0, 0.5), "1 feature ablated, 2 scaled"],
])("what a set does is said in words (%#)", (given, words) => {
  expect(ablationInWords(given)).toBe(words);
});

it("a feature that is switched off in the file is not applied, and its factor stays in the file", () => {
  const file = AblationFile.parse({
    $schema: "x",
    format: "lfp-ablation/1",
    run: { name: "quick" },
    features: [{ id: "L1/F0", factor: 2, on: false }, { id: "L1/F1" }, { id: "L1/F2", factor: 0.5, on: true }],
  });
  expect(file.features[0]).toEqual({ id: "L1/F0", factor: 2, on: false });
  const applied = switchedOn(file);
  expect(applied).toEqual({
    ...{ format: "lfp-ablation/1", name: "", note: "", run: { name: "quick", dictionaries: null } },
    features: [
      { id: "L1/F1", factor: 0 },
      { id: "L1/F2", factor: 0.5 },
    ],
  });
  // The server's messages take nothing that is switched off.
  expect(AblationSet.safeParse(file).success).toBe(false);
  expect(AblationSet.parse(applied)).toEqual(applied);
});
