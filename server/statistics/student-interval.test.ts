import { expect, test } from "vitest";
import { studentInterval, studentQuantile } from "./student-interval.ts";

// scipy.stats.t.interval(confidence, n - 1, numpy.mean(x), scipy.stats.sem(x)) of SciPy 1.17, numpy.std(x, ddof=1).
test.each([
  [[0.408, 0.367, 0.454, 0.458, 0.504], 0.95, 0.05232781287231487, 0.37322643865170313, 0.5031735613482968],
  [[0.408, 0.367, 0.454, 0.458, 0.504], 0.9, 0.05232781287231487, 0.38831114115051213, 0.4880888588494878],
  [[1.5, -0.25], 0.95, 1.2374368670764582, -10.492929144152855, 11.742929144152855],
])("equals scipy: %j at %d", (values, confidence, sd, low, high) => {
  const found = studentInterval(values, confidence);
  expect(found.count).toBe(values.length);
  for (const [got, stored] of [
    [found.sd, sd],
    [found.low, low],
    [found.high, high],
  ] as const)
    expect(Math.abs(got - stored)).toBeLessThan(1e-12 * Math.abs(stored));
});

test("quantiles have the closed forms of one and two degrees of freedom", () => {
  for (const p of [0.5, 0.05, 0.001]) {
    expect(studentQuantile(p, 1)).toBeCloseTo(1 / Math.tan((Math.PI * p) / 2), 9);
    const share = 1 - p;
    expect(studentQuantile(p, 2)).toBeCloseTo((share * Math.SQRT2) / Math.sqrt(1 - share * share), 9);
  }
});

test("one value has no interval, and a share of 1 no quantile", () => {
  expect(() => studentInterval([1])).toThrow(/at least two, got 1/);
  expect(() => studentQuantile(1, 3)).toThrow(/between 0 and 1/);
});
