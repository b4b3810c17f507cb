import { describe, expect, test } from "vitest";
import { expectAllClose, expectClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { NonFiniteFeaturesError, rowMatrix } from "./linear-algebra.ts";
import { fitLogistic, OneClassError, predictLabels } from "./logistic.ts";

type Stored = ReturnType<typeof fixture<"linear">>["logistic"][number];

const stored = fixture("linear").logistic;

function featuresOf({ rows, columns, seed, scale }: Stored) {
  const data = levels(seed, rows * columns, 1 / 64).map((value, at) => (at % columns === 0 ? value * scale : value));
  return rowMatrix(Float32Array.from(data), rows, columns);
}

describe("fitLogistic", () => {
  test.each(stored)("solved tightly, equals scikit-learn: $name", (entry) => {
    const { inverseStrength, labels, weights, intercept, objective } = entry;
    const model = fitLogistic(featuresOf(entry), labels, { inverseStrength, tolerance: 1e-10, maxIterations: 2000 });
    expect(model.converged).toBe(true);
    expectAllClose(model.weights, weights, 1e-7);
    expectClose(model.intercept, intercept, 1e-7, 1);
    expectClose(model.objective, objective, 1e-11);
  });

  test.each(stored)(
    "at the default tolerance, is as near the minimum as scikit-learn and as accurate: $name",
    (entry) => {
      const features = featuresOf(entry);
      const model = fitLogistic(features, entry.labels.map(Boolean), { inverseStrength: entry.inverseStrength });
      expect(model.converged).toBe(true);
      expectAllClose(model.weights, entry.weights, 1e-2);
      const right = predictLabels(model, features).filter((label, row) => label === (entry.labels[row] === 1)).length;
      expect(Math.abs(right / entry.rows - entry.accuracy)).toBeLessThanOrEqual(1 / entry.rows);
    },
  );

  test.each(stored)("from a start elsewhere, ends at the same minimum: $name", (entry) => {
    const features = featuresOf(entry);
    const elsewhere = fitLogistic(features, entry.labels, { inverseStrength: entry.inverseStrength / 10 });
    const options = { inverseStrength: entry.inverseStrength, tolerance: 1e-10, maxIterations: 2000 };
    const model = fitLogistic(features, entry.labels, { ...options, start: elsewhere });
    expectAllClose(model.weights, entry.weights, 1e-7);
    expect(fitLogistic(features, entry.labels, { ...options, start: model }).iterations).toBe(0);
  });

  test("says so when iterations run out", () => {
    const [entry] = stored.slice(1);
    if (entry === undefined) throw new Error("the fixture holds no second case");
    const model = fitLogistic(featuresOf(entry), entry.labels, { maxIterations: 1 });
    expect(model).toMatchObject({ converged: false, iterations: 1 });
  });

  test("survives margins whose exponentials overflow", () => {
    const features = rowMatrix(Float32Array.of(-1e4, 1e4, -3e4, 3e4), 4, 1);
    const model = fitLogistic(features, [0, 1, 0, 1], { inverseStrength: 1e6 });
    expect(predictLabels(model, features)).toEqual([false, true, false, true]);
    expect(model.objective).toBeGreaterThanOrEqual(0);
  });

  test("refuses one class, other labels, unpaired rows and numbers that are not finite", () => {
    const features = rowMatrix(Float32Array.of(1, 2), 2, 1);
    expect(() => fitLogistic(features, [1, 1])).toThrow(OneClassError);
    expect(() => fitLogistic(features, [1, 2])).toThrow(/labels are 0 and 1, got 2/);
    expect(() => fitLogistic(features, [1])).toThrow(/2 rows of features got 1 labels/);
    expect(() => fitLogistic(features, [0, 1], { inverseStrength: 0 })).toThrow(/above 0, got 0/);
    expect(() => fitLogistic(rowMatrix(Float32Array.of(1, Number.NaN), 2, 1), [0, 1])).toThrow(NonFiniteFeaturesError);
  });
});
