/** The mean of a sample with its 95 % interval. */
export interface MeanInterval {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation with n - 1; 0 for a single value. */
  readonly sd: number;
  /**
   * Ends of the 95 % interval by the normal approximation, mean -+ 1.96 sd / sqrt(n): for some tens of values or more.
   */
  readonly low: number;
  readonly high: number;
}

/** The mean of independent values with its 95 % interval; NaN throughout for no values. */
export function meanInterval(values: readonly number[]): MeanInterval {
  const count = values.length;
  const mean = values.reduce((total, value) => total + value, 0) / count;
  const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
  const sd = count === 1 ? 0 : Math.sqrt(squares / (count - 1));
  const half = (normalQuantile * sd) / Math.sqrt(count);
  return { count, mean, sd, low: mean - half, high: mean + half };
}

/** Quantile of the standard normal distribution at 0.975. */
const normalQuantile = 1.959963984540054;
