import { invariant } from "../common/errors.ts";
import { mean, standardDeviation } from "./moments.ts";
import { studentTwoSidedP } from "./special-functions.ts";

/** The mean of a few independent values, with an interval that holds for few. */
export interface StudentInterval {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation with n - 1. */
  readonly sd: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Mean of at least two values with its interval by Student's t with n - 1 degrees of freedom, mean -+ t sd / sqrt(n).
 * For tens of values `meanInterval` is close to it.
 */
export function studentInterval(values: readonly number[], confidence = 0.95): StudentInterval {
  const count = values.length;
  invariant(count >= 2, `an interval between values needs at least two, got ${count}`);
  const [centre, sd] = [mean(values), standardDeviation(values)];
  const half = (studentQuantile(1 - confidence, count - 1) * sd) / Math.sqrt(count);
  return { count, mean: centre, sd, low: centre - half, high: centre + half };
}

/** The t with P(|T| >= t) = `p`, for Student's t with `dof` degrees of freedom; `p` between 0 and 1. */
export function studentQuantile(p: number, dof: number): number {
  invariant(p > 0 && p < 1, `a quantile of Student's t needs a share between 0 and 1, got ${p}`);
  let [low, high] = [0, 1];
  while (studentTwoSidedP(high, dof) > p) high *= 2;
  for (let middle = high / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (studentTwoSidedP(middle, dof) > p) low = middle;
    else high = middle;
  }
  return high;
}
