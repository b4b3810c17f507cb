import { expect } from "vitest";

export interface Tolerance {
  /** Allowed distance, whatever the value. */
  readonly absolute: number;
  /** Allowed distance as a share of the largest expected magnitude. */
  readonly relative: number;
}

/** Fails with the worst element unless every element is within tolerance. An empty or NaN result never passes. */
export function expectClose(
  what: string,
  got: ArrayLike<number> | undefined,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
): void {
  expect(got?.length, `${what}: number of values`).toBe(expected.length);
  if (got === undefined) return;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i] ?? 0));
  const allowed = tolerance.absolute + tolerance.relative * largest;
  let worst = 0;
  let worstAt = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs((got[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    if (Number.isNaN(distance) || distance > worst) {
      worst = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
      worstAt = i;
    }
  }
  const place = `${what}: element ${worstAt} is ${got[worstAt]}, expected ${expected[worstAt]}`;
  expect(worst, `${place}, off by ${worst}, allowed ${allowed}`).toBeLessThanOrEqual(allowed);
}
