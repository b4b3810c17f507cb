import { describe, expect, test } from "vitest";
import { expectClose, fixture } from "../../test/unit/statistics/fixture.ts";
import { complementaryError, normalQuantile, regularisedBeta, studentTwoSidedP } from "./special-functions.ts";

const stored = fixture("samples").special;

describe("against scipy.special", () => {
  test("erfc", () => {
    for (const [x, expected] of stored.complementaryError) expectClose(complementaryError(x), expected, 1e-12);
  });

  test("normal quantile", () => {
    for (const [p, expected] of stored.normalQuantile) expectClose(normalQuantile(p), expected, 1e-12, 1);
  });

  test("regularised incomplete beta", () => {
    for (const [x, a, b, expected] of stored.regularisedBeta)
      expectClose(regularisedBeta(x, 1 - x, a, b), expected, 1e-10);
  });

  test("Student's t", () => {
    for (const [t, dof, expected] of stored.studentTwoSided) expectClose(studentTwoSidedP(t, dof), expected, 1e-10);
  });
});

test("ends and nonsense", () => {
  expect(studentTwoSidedP(Number.POSITIVE_INFINITY, 3)).toBe(0);
  expect(studentTwoSidedP(1, 0)).toBeNaN();
  expect(studentTwoSidedP(Number.NaN, 3)).toBeNaN();
  expect(() => normalQuantile(0)).toThrow(/between 0 and 1/);
});
