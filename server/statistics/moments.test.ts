import { describe, expect, test } from "vitest";
import { expectClose, fixture } from "../../test/unit/statistics/fixture.ts";
import { mean, standardDeviation, sum, variance } from "./moments.ts";

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
