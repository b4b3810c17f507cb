import { type Numbers, sampleOf } from "./sample.ts";

/** The sum with compensation for rounding (Neumaier 1974): what the naive sum loses is carried beside it. */
export function sum(values: Numbers): number {
  let total = 0;
  let lost = 0;
  for (const value of sampleOf(values, "values")) {
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return Number.isFinite(total) ? total + lost : total;
}

/** The arithmetic mean; NaN for no values. */
export function mean(values: Numbers): number {
  return sum(values) / values.length;
}

/**
 * The variance around the mean, divided by n - `ddof`: 1 (the default) for a sample, 0 for a whole population. Two passes,
 * the second corrected for the rounding of the mean. NaN when n <= ddof.
 */
export function variance(values: Numbers, ddof: 0 | 1 = 1): number {
  if (values.length <= ddof) return Number.NaN;
  const centre = mean(values);
  const deviations = Float64Array.from(values, (value) => value - centre);
  const drift = sum(deviations);
  return Math.max(0, sum(deviations.map((d) => d * d)) - (drift * drift) / values.length) / (values.length - ddof);
}

/** The square root of the variance. */
export function standardDeviation(values: Numbers, ddof: 0 | 1 = 1): number {
  return Math.sqrt(variance(values, ddof));
}
