import { invariant } from "../common/errors.ts";
import { type Numbers, sampleOf } from "./sample.ts";

/**
 * The `q`-th percentile (0 to 100) by linear interpolation, equal to `numpy.percentile`: with h = (n - 1) q / 100 on the
 * sorted values, x[⌊h⌋] + (h - ⌊h⌋)(x[⌊h⌋ + 1] - x[⌊h⌋]). NaN for no values.
 */
export function percentile(values: Numbers, q: number): number {
  return percentiles(values, [q])[0] ?? Number.NaN;
}

/** Several percentiles of one sample, sorted once; in the order of `asked`. */
export function percentiles(values: Numbers, asked: readonly number[]): number[] {
  const sorted = sampleOf(values, "values").sort();
  return asked.map((q) => {
    invariant(q >= 0 && q <= 100, `a percentile lies between 0 and 100, got ${q}`);
    const h = (sorted.length - 1) * (q / 100);
    const below = Math.floor(h);
    const low = sorted[below] ?? Number.NaN;
    return interpolate(low, sorted[below + 1] ?? low, h - below);
  });
}

/** Linear interpolation from the nearer end, as numpy does it, so that rounding never leaves the interval. */
function interpolate(low: number, high: number, share: number): number {
  const step = high - low;
  return share < 0.5 ? low + step * share : high - step * (1 - share);
}
