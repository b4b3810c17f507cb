import { expect, test } from "vitest";
import { fixture } from "../../test/unit/statistics/fixture.ts";
import { percentile, percentiles } from "./percentile.ts";

test.each(fixture("samples").percentiles)("equals numpy to the last bit for $values.length values", (stored) => {
  expect(percentiles(stored.values, stored.asked)).toEqual(stored.expected);
  expect(stored.asked.map((q) => percentile(stored.values, q))).toEqual(stored.expected);
});

test("does not reorder what it is given", () => {
  const values = [3, 1, 2];
  percentile(values, 50);
  expect(values).toEqual([3, 1, 2]);
});

test("no values have no percentile, and q outside 0 to 100 is refused", () => {
  expect(percentile([], 50)).toBeNaN();
  expect(() => percentile([1], 101)).toThrow(/between 0 and 100, got 101/);
  expect(() => percentile([1, Number.NaN], 50)).toThrow(/NaN/);
});
