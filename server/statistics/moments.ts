import { dot } from "./linear-algebra.loops.ts";
import { type Numbers, pairedSamples, sampleOf } from "./sample.ts";

/** The sum with compensation for rounding (Neumaier 1974): carries what the naive sum loses in a second variable. */
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

/** Pearson's correlation, equal to `scipy.stats.pearsonr`; NaN below two rows and where all x or all y are equal. */
export function pearson(x: Numbers, y: Numbers): number {
  const [u, v] = pairedSamples(x, y, ["x", "y"]);
  const [centredX, centredY] = [centred(u), centred(v)];
  const size = Math.sqrt(dot(centredX, centredX)) * Math.sqrt(dot(centredY, centredY));
  if (u.every((value) => value === u[0]) || v.every((value) => value === v[0])) return Number.NaN;
  return Math.min(1, Math.max(-1, dot(centredX, centredY) / size));
}

/**
 * R squared of the predictions without refitting, equal to `sklearn.metrics.r2_score`: 1 - sum (y - p)² / sum (y -
 * mean y)². NaN if all y are equal, and for no rows.
 */
export function explainedShare(predicted: Numbers, truth: Numbers): number {
  const [p, y] = pairedSamples(predicted, truth, ["predicted", "truth"]);
  if (y.every((value) => value === y[0])) return Number.NaN;
  const errors = y.map((value, row) => value - (p[row] ?? Number.NaN));
  const about = centred(y);
  return 1 - dot(errors, errors) / dot(about, about);
}

function centred(values: Float64Array): Float64Array {
  const middle = mean(values);
  return values.map((value) => value - middle);
}
