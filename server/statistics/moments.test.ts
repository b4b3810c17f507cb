import { describe, expect, test } from "vitest";
import { expectClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { explainedShare, mean, pearson, standardDeviation, sum, variance } from "./moments.ts";

const stored = fixture("samples").moments;

describe("against exact arithmetic", () => {
  test.each(stored)("sum and mean equal the exactly rounded ones of $values", (entry) => {
    expectClose(sum(entry.values), entry.sum, 1e-16, 1e-15);
    expectClose(mean(entry.values), entry.mean, 2e-16, 1e-15);
  });

  test.each(stored.filter((entry) => entry.variance !== null))("variance equals the exact one of $values", (entry) => {
    expectClose(variance(entry.values), entry.variance, 1e-13, 1e-15);
    expectClose(variance(entry.values, 0), entry.populationVariance, 1e-13, 1e-15);
    expectClose(standardDeviation(entry.values) ** 2, entry.variance, 1e-13, 1e-15);
  });
});

test("what is undefined is NaN", () => {
  expect(sum([])).toBe(0);
  expect(mean([])).toBeNaN();
  expect(variance([5])).toBeNaN();
  expect(variance([5], 0)).toBe(0);
  expect(sum([Number.POSITIVE_INFINITY, 1])).toBe(Number.POSITIVE_INFINITY);
  expect(() => mean([Number.NaN])).toThrow(/NaN/);
});

test.each(fixture("agreement").agreement)(
  "correlation and R squared equal scipy's and scikit-learn's: $name",
  (stored) => {
    const { n, share, offset, seeds } = stored;
    const truth = levels(seeds[0], n, 2 ** -10);
    const noise = levels(seeds[1], n, 2 ** -10);
    const predicted = truth.map((value, row) => share * value + (noise[row] ?? Number.NaN) / 4 + offset);
    expectClose(pearson(predicted, truth), stored.pearson, 1e-12);
    expectClose(explainedShare(predicted, truth), stored.r2, 1e-11);
  },
);

test("agreement with or of equal values is not defined, and a perfect one is exactly 1", () => {
  expect(pearson([1, 1, 1], [1, 2, 3])).toBeNaN();
  expect(pearson([1, 2, 3], [0.1, 0.1, 0.1])).toBeNaN();
  expect(explainedShare([1, 2, 3], [2, 2, 2])).toBeNaN();
  expect(explainedShare([], [])).toBeNaN();
  expect([pearson([1, 2, 4], [2, 4, 8]), explainedShare([1, 2, 4], [1, 2, 4])]).toEqual([1, 1]);
});
