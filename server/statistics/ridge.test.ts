import { describe, expect, test } from "vitest";
import { expectAllClose, expectClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { NonFiniteFeaturesError, NotPositiveDefiniteError, rowMatrix } from "./linear-algebra.ts";
import { predictLinear } from "./linear-model.ts";
import { fitRidge, ridgeOf, ridgeSmoother } from "./ridge.ts";
import { NotANumberError } from "./sample.ts";

/** The features and targets of a stored case, as the Python script makes them. */
function problem({ rows, columns, step, seed, offset }: ReturnType<typeof fixture<"linear">>["ridge"][number]) {
  const grid = levels(seed, rows * columns, step);
  const data = offset === null ? grid.map((value) => Math.max(value - 1.25, 0)) : grid.map((value) => value + offset);
  const targets = levels(seed + 1000, rows, 1 / 64).map(
    (value, i) => value + (data[i * columns] ?? Number.NaN) - 0.5 * (data[(i + 1) * columns - 1] ?? Number.NaN),
  );
  return { data, targets };
}

describe("fitRidge", () => {
  test.each(fixture("linear").ridge)("equals scikit-learn: $name, $rows x $columns, alpha $alpha", async (stored) => {
    const { data, targets } = problem(stored);
    for (const exact of [data, Float32Array.from(data)]) {
      const features = rowMatrix(exact, stored.rows, stored.columns);
      const model = await fitRidge(features, targets, stored.alpha);
      expectAllClose(model.weights, stored.weights, 1e-10);
      expectClose(model.intercept, stored.intercept, 1e-9, 1);
      expectAllClose(predictLinear(model, features).subarray(0, 20), stored.predicted, 1e-10);
    }
  });

  test("sits where the gradient is zero, for sparse features of very unequal size too", async () => {
    const [rows, columns, alpha] = [200, 40, 1e-4];
    const data = levels(31, rows * columns, 1 / 64).map(
      (value, at) => Math.max(0, value - 1.5) * 10 ** ((at % columns) % 5),
    );
    const targets = levels(32, rows, 1 / 64);
    const features = rowMatrix(data, rows, columns);
    const model = await fitRidge(features, targets, alpha);
    const errors = predictLinear(model, features).map((value, i) => (targets[i] ?? Number.NaN) - value);
    expect(Math.abs(errors.reduce((a, b) => a + b, 0))).toBeLessThan(1e-10);
    for (const [j, weight] of model.weights.entries()) {
      let [gradient, size] = [alpha * weight, 0];
      for (const [i, error] of errors.entries()) {
        const term = (data[i * columns + j] ?? Number.NaN) * error;
        gradient -= term;
        size += Math.abs(term);
      }
      expect(Math.abs(gradient)).toBeLessThan(1e-12 * Math.max(1, size));
    }
  });

  test.each([
    [30, 6],
    [6, 30],
  ])(
    "%i x %i features factored once serve many targets, and give each what a fit of its own gives",
    async (rows, columns) => {
      const features = rowMatrix(levels(41, rows * columns, 1 / 64), rows, columns);
      const fitTargets = await ridgeOf(features, 0.5);
      for (const seed of [42, 43]) {
        const targets = levels(seed, rows, 1 / 64);
        expect(fitTargets(targets)).toEqual(await fitRidge(features, targets, 0.5));
      }
    },
  );

  test.each([
    [30, 6],
    [6, 30],
  ])("%i x %i features: what a smoother predicts is what fits of their own predict", async (rows, columns) => {
    const features = rowMatrix(
      levels(51, rows * columns, 1 / 64).map((value) => Math.max(0, value - 1)),
      rows,
      columns,
    );
    const tests = rowMatrix(levels(52, 4 * columns, 1 / 64), 4, columns);
    const smoother = await ridgeSmoother(features, tests, 0.5);
    for (const seed of [53, 54]) {
      const targets = levels(seed, rows, 1 / 64);
      expectAllClose(smoother(targets), [...predictLinear(await fitRidge(features, targets, 0.5), tests)], 1e-12);
    }
    expect(() => smoother([1])).toThrow(/got 1 targets/);
  });

  test("one row, or equal targets, give no weights and the mean as intercept", async () => {
    expect(await fitRidge(rowMatrix(Float32Array.of(1, 2), 1, 2), [3])).toEqual({
      weights: Float64Array.of(0, 0),
      intercept: 3,
    });
    const model = await fitRidge(rowMatrix(Float32Array.of(1, 2, 5), 3, 1), [4, 4, 4]);
    expect(model).toEqual({ weights: Float64Array.of(0), intercept: 4 });
  });

  test("refuses what has no answer", async () => {
    const features = rowMatrix(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 3);
    await expect(fitRidge(features, [1, 2], 0)).rejects.toThrow(NotPositiveDefiniteError);
    await expect(fitRidge(features, [1, 2, 3])).rejects.toThrow(/2 rows of features got 3 targets/);
    await expect(fitRidge(features, [1, 2], -1)).rejects.toThrow(/alpha must be a number >= 0, got -1/);
    await expect(fitRidge(features, [1, Number.NaN])).rejects.toThrow(NotANumberError);
    await expect(fitRidge(rowMatrix(Float32Array.of(1, Number.NaN), 2, 1), [1, 2])).rejects.toThrow(
      NonFiniteFeaturesError,
    );
    const model = await fitRidge(features, [1, 2]);
    expect(() => predictLinear(model, rowMatrix(new Float32Array(4), 2, 2))).toThrow(/3 weights/);
  });
});
