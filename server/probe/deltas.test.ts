import { expect, test } from "vitest";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import { activationDeltas, rewardScale, rewardScaleKeepingZero, toRewardRange } from "./deltas.ts";
import { polarRows, takeRows } from "./features.ts";

/** Two triples of three features: z⁺, z⁺, z⁻, z⁻, z⁰, z⁰. */
const features = {
  triples: 2,
  layers: [{ layer: 1, start: 0, end: 3 }],
  rows: rowMatrix(Float32Array.of(3, 4, 0, 1, 1, 1, 0, 0, 2, 1, 3, 1, 0, 0, 0, 1, 1, 1), 6, 3),
};

test("deltas are signed Euclidean distances from the neutral version", () => {
  expect([...activationDeltas(features)]).toEqual([5, 0, -2, -2]);
});

test("the probe sees the polar rows only", () => {
  const polar = polarRows(features);
  expect([polar.rows, polar.columns]).toEqual([4, 3]);
  expect([...polar.data]).toEqual([3, 4, 0, 1, 1, 1, 0, 0, 2, 1, 3, 1]);
  expect([...takeRows(polar, Int32Array.of(3, 0)).data]).toEqual([1, 3, 1, 3, 4, 0]);
  expect(() => takeRows(polar, Int32Array.of(4))).toThrow(/outside the 4 rows/);
});

const range = { low: -3.9, high: 3.4 };

test("the 10th and 90th percentile lie on the ends of the reward's range, and the rest between or clamped", () => {
  const scale = rewardScale([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(scale).toEqual({ low: 1, high: 9 });
  expect(toRewardRange(1, scale, range)).toBe(-3.9);
  expect(toRewardRange(9, scale, range)).toBeCloseTo(3.4, 12);
  expect(toRewardRange(5, scale, range)).toBeCloseTo(-0.25, 12);
  expect(toRewardRange(-100, scale, range)).toBe(-3.9);
  expect(toRewardRange(100, scale, range)).toBe(3.4);
});

test("a scale that keeps zero has the same width and no shift", () => {
  const scale = rewardScaleKeepingZero([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], range);
  expect(scale.high - scale.low).toBeCloseTo(8, 12);
  expect(toRewardRange(0, scale, range)).toBeCloseTo(0, 12);
  expect(toRewardRange(2, scale, range)).toBeCloseTo((2 / 8) * 7.3, 12);
  expect(toRewardRange(-2, scale, range)).toBeCloseTo((-2 / 8) * 7.3, 12);
  expect(toRewardRange(7, scale, range)).toBe(3.4);
});

test("another lexicon has another range", () => {
  const stars = { low: -1, high: 4 };
  const scale = rewardScale([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect([-100, 1, 5, 9, 100].map((value) => toRewardRange(value, scale, stars))).toEqual([-1, -1, 1.5, 4, 4]);
  const keeping = rewardScaleKeepingZero([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], stars);
  expect(keeping).toEqual({ low: (8 / 5) * -1, high: (8 / 5) * 4 });
});

test("a scale without width says nothing", () => {
  expect(toRewardRange(7, rewardScale([7, 7, 7]), range)).toBe(0);
  expect(() => rewardScale([])).toThrow(/needs values/);
});
