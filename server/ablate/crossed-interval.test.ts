import { expect, it } from "vitest";
import { meanInterval } from "../common/mean-interval.ts";
import { Random } from "../common/random.ts";
import { crossedInterval } from "./crossed-interval.ts";

it("of one draw, and of draws that agree, is the prompts' own", () => {
  const prompts = [0.5, -1, 2, 0.25, 3];
  const { mean, low, high } = meanInterval(prompts);
  for (const draws of [[prompts], [prompts, prompts, prompts]]) {
    const found = crossedInterval(draws);
    expect(found.mean).toBeCloseTo(mean, 12);
    expect([found.low, found.high]).toEqual([expect.closeTo(low, 12), expect.closeTo(high, 12)]);
  }
});

it("of draws that differ by the same at every prompt adds their spread", () => {
  // Prompts at 0 and 2, draws 1 apart: s\u00b2 of prompts 2, of draws 1, nothing left.
  const { mean, high } = crossedInterval([
    [-1, 1],
    [0, 2],
    [1, 3],
  ]);
  expect(mean).toBeCloseTo(1, 12);
  expect(high - mean).toBeCloseTo(1.959963984540054 * Math.sqrt(2 / 2 + 1 / 3), 12);
});

it("holds the truth in about 95 of 100 samples of prompts and draws, where the prompts' own interval does not", () => {
  const random = Random.fromSeed(7);
  const [trials, m, n, truth] = [1500, 19, 60, -0.1];
  let [held, heldByPrompts] = [0, 0];
  for (let trial = 0; trial < trials; trial++) {
    const prompts = Array.from({ length: n }, () => 0.4 * random.normal());
    const draws = Array.from({ length: m }, () => 0.2 * random.normal());
    const values = draws.map((draw) => prompts.map((prompt) => truth + draw + prompt + 0.5 * random.normal()));
    const { low, high } = crossedInterval(values);
    if (low <= truth && truth <= high) held++;
    const plain = meanInterval(prompts.map((_, i) => values.reduce((sum, draw) => sum + (draw[i] ?? 0), 0) / m));
    if (plain.low <= truth && truth <= plain.high) heldByPrompts++;
  }
  expect(held / trials).toBeGreaterThan(0.925);
  expect(held / trials).toBeLessThan(0.965);
  expect(heldByPrompts / trials).toBeLessThan(0.9);
});
