import { expect, it } from "vitest";
import { ablationVerdict } from "./ablation-figure.ts";

const effect = (what: "this" | "random" | "mean", change: number, low: number, high: number, factor = 0) => ({
  what,
  factor,
  prompts: 256,
  change,
  low,
  high,
});

it.each([
  [[], ""],
  [[effect("this", 0.5, 0.1, 0.9, 2)], ""],
  [
    [effect("this", -0.02, -0.06, 0.01)],
    "Without the feature the mean reward changes by −0.02 (95 % interval −0.06 to +0.01). That may be chance: the interval holds zero.",
  ],
  [
    [effect("this", -0.2, -0.3, -0.1), effect("random", 0, -0.05, 0.05)],
    "Without the feature the mean reward changes by −0.20 (95 % interval −0.30 to −0.10). Random sets of features, as often and as strongly active, change it by less: −0.05 to +0.05.",
  ],
  [
    [effect("random", -0.1, -0.2, 0), effect("this", -0.2, -0.3, -0.1)],
    "Without the feature the mean reward changes by −0.20 (95 % interval −0.30 to −0.10). Random sets of features, as often and as strongly active, change it about as much: −0.20 to 0.00.",
  ],
  [
    [effect("this", 0.1, 0.05, 0.15), effect("random", 0.4, 0.3, 0.5)],
    "Without the feature the mean reward changes by +0.10 (95 % interval +0.05 to +0.15). Random sets of features, as often and as strongly active, change it by more: +0.30 to +0.50.",
  ],
])("an ablation's effect is put into words, beside that of random sets (%#)", (ablations, words) => {
  expect(ablationVerdict(ablations)).toBe(words);
});

it("a set's effect is told as the set's, whatever its factors", () => {
  expect(ablationVerdict([effect("this", 0.5, 0.1, 0.9, 2)], "set")).toBe(
    "With the set the mean reward changes by +0.50 (95 % interval +0.10 to +0.90).",
  );
});
