import { describe, expect, test } from "vitest";
import { minimise } from "./lbfgs.ts";
import { type LinePoint, searchLine } from "./line-search.ts";

/** Rosenbrock's valley in two dimensions, minimum 0 at (1, 1). */
function rosenbrock(at: Float64Array, gradient: Float64Array): number {
  const [x = 0, y = 0] = at;
  gradient.set([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]);
  return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
}

describe("minimise", () => {
  test("finds the bottom of a curved valley and leaves its start alone", () => {
    const start = Float64Array.of(-1.2, 1);
    const result = minimise(rosenbrock, start, { tolerance: 1e-9, maxIterations: 200 });
    expect(result.converged).toBe(true);
    expect(result.at[0]).toBeCloseTo(1, 9);
    expect(result.at[1]).toBeCloseTo(1, 9);
    expect(start).toEqual(Float64Array.of(-1.2, 1));
  });

  test("solves a badly conditioned quadratic", () => {
    const curvature = Float64Array.from({ length: 50 }, (_, i) => 10 ** (i / 20));
    const quadratic = (at: Float64Array, gradient: Float64Array) => {
      gradient.set(curvature.map((c, i) => c * (at[i] ?? 0) - 1));
      return curvature.reduce((total, c, i) => total + (c * (at[i] ?? 0) ** 2) / 2 - (at[i] ?? 0), 0);
    };
    const result = minimise(quadratic, new Float64Array(50), { tolerance: 1e-9, maxIterations: 2000 });
    expect(result.converged).toBe(true);
    for (const [i, c] of curvature.entries()) expect(Math.abs((result.at[i] ?? Number.NaN) - 1 / c)).toBeLessThan(1e-8);
  });

  test("stops at once in a minimum, when iterations run out, and where nothing decreases", () => {
    expect(minimise(rosenbrock, Float64Array.of(1, 1), { tolerance: 1e-9, maxIterations: 5 }).iterations).toBe(0);
    const short = minimise(rosenbrock, Float64Array.of(-1.2, 1), { tolerance: 1e-9, maxIterations: 3 });
    expect(short).toMatchObject({ iterations: 3, converged: false });
    const lying = (_: Float64Array, gradient: Float64Array) => {
      gradient[0] = 1;
      return 5;
    };
    expect(minimise(lying, Float64Array.of(0), { tolerance: 1e-9, maxIterations: 5 }).converged).toBe(false);
    const undefinedValue = (_: Float64Array, gradient: Float64Array) => {
      gradient[0] = 1;
      return Number.NaN;
    };
    expect(minimise(undefinedValue, Float64Array.of(0), { tolerance: 1e-9, maxIterations: 5 }).converged).toBe(false);
  });
});

describe("searchLine", () => {
  const along = (value: (step: number) => number, slope: (step: number) => number) => (step: number) => ({
    step,
    value: value(step),
    slope: slope(step),
  });

  test.each([
    [
      "a far minimum",
      along(
        (t) => (t - 500) ** 2,
        (t) => 2 * (t - 500),
      ),
      1,
    ],
    [
      "a near minimum",
      along(
        (t) => (t - 0.001) ** 2,
        (t) => 2 * (t - 0.001),
      ),
      1,
    ],
    [
      "waves",
      along(
        (t) => t * t - 3 * Math.sin(5 * t),
        (t) => 2 * t - 15 * Math.cos(5 * t),
      ),
      4,
    ],
  ])("meets the strong Wolfe conditions on %s", (_, evaluate, firstStep) => {
    const origin = evaluate(0);
    const found: LinePoint | undefined = searchLine(evaluate, origin, firstStep);
    if (found === undefined) throw new Error("no step was found");
    expect(found.value).toBeLessThanOrEqual(origin.value + 1e-4 * found.step * origin.slope);
    expect(Math.abs(found.slope)).toBeLessThanOrEqual(0.9 * Math.abs(origin.slope));
  });

  test("refuses to go uphill, and to follow a line without end", () => {
    const uphill = along(
      (t) => t,
      () => 1,
    );
    expect(searchLine(uphill, uphill(0), 1)).toBeUndefined();
    const endless = along(
      (t) => -t,
      () => -1,
    );
    expect(searchLine(endless, endless(0), 1)).toBeUndefined();
  });
});
