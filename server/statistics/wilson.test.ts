import { expect, test } from "vitest";
import { expectClose, fixture } from "../../test/unit/statistics/fixture.ts";
import { wilsonInterval } from "./wilson.ts";

test.each(fixture("samples").wilson)("equals scipy: $successes of $trials at $confidence", (stored) => {
  const { proportion, low, high } = wilsonInterval(stored.successes, stored.trials, stored.confidence);
  expect(proportion).toBe(stored.successes / stored.trials);
  expectClose(low, stored.low, 1e-12);
  expectClose(high, stored.high, 1e-12);
});

test("without trials nothing is known; impossible counts are refused", () => {
  expect(wilsonInterval(0, 0)).toEqual({ proportion: Number.NaN, low: 0, high: 1 });
  expect(() => wilsonInterval(3, 2)).toThrow(/between 0 and the 2 trials, got 3/);
  expect(() => wilsonInterval(1, 2, 1)).toThrow(/confidence/);
});
