import { describe, expect, test } from "vitest";
import { expectAllClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { Random } from "../common/random.ts";
import { rowMatrix } from "./linear-algebra.ts";
import { principalComponents, project } from "./pca.ts";

describe("principalComponents", () => {
  test.each(fixture("linear").pca)("equals scikit-learn: $name, $count of $rows x $columns", (stored) => {
    const { rows, columns, seed, count } = stored;
    const data = levels(seed, rows * columns, 1 / 64).map((value, at) => value * (1 + ((at % columns) % 7)));
    const features = rowMatrix(Float32Array.from(data), rows, columns);
    const found = principalComponents(features, count);
    expect(found.converged).toBe(true);
    expectAllClose(found.means, stored.mean, 1e-12);
    expectAllClose(found.variances, stored.variance, 1e-10);
    expectAllClose(found.shares, stored.share, 1e-10);
    for (const [k, component] of found.components.entries())
      expectAllClose(component, stored.components[k] ?? [], 1e-8);
    expectAllClose(project(found, features).subarray(0, stored.scores.length), stored.scores, 1e-8);
  });

  test("finds variances that are close or equal, in directions that are orthogonal", () => {
    const random = Random.fromSeed(1);
    const [rows, columns] = [300, 60];
    const spread = Float64Array.from({ length: columns }, (_, j) => (j < 4 ? 5 : 1 - j / 1000));
    const data = Float64Array.from(
      { length: rows * columns },
      (_, at) => random.normal() * (spread[at % columns] ?? 0),
    );
    const { components, variances, converged } = principalComponents(rowMatrix(data, rows, columns), 6);
    expect(converged).toBe(true);
    for (const [i, a] of components.entries())
      for (const [j, b] of components.entries())
        expect(a.reduce((total, value, k) => total + value * (b[k] ?? 0), 0)).toBeCloseTo(i === j ? 1 : 0, 10);
    expect([...variances]).toEqual([...variances].sort((a, b) => b - a));
  });

  test("equal rows vary in no direction; features of low rank have zero variance beyond it", () => {
    const equal = principalComponents(rowMatrix(Float32Array.of(1, 2, 1, 2, 1, 2), 3, 2), 1);
    expect(equal).toMatchObject({
      variances: Float64Array.of(0),
      shares: Float64Array.of(Number.NaN),
      converged: true,
    });
    const line = Float32Array.from({ length: 40 }, (_, at) => Math.floor(at / 4) * ((at % 4) + 1));
    const { variances, shares } = principalComponents(rowMatrix(line, 10, 4), 3);
    expect(shares[0]).toBeCloseTo(1, 12);
    expect(variances[1]).toBeLessThan(1e-9);
  });

  test("refuses more components than there are", () => {
    const features = rowMatrix(Float32Array.of(1, 2, 3, 4, 5, 6), 3, 2);
    expect(() => principalComponents(features, 3)).toThrow(/between 1 and 2 components/);
    expect(() => principalComponents(features, 0)).toThrow(/got 0/);
    expect(() => principalComponents(rowMatrix(Float32Array.of(1, 2), 1, 2), 1)).toThrow(/at least two rows/);
  });
});
