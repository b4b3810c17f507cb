/** Means over two crossed factors: every prompt under every draw. */
import { type MeanInterval, meanInterval } from "../common/mean-interval.ts";

/**
 * Mean of values [m draws][n prompts] with its 95 % interval for other prompts *and* other draws: both are samples.
 * Its variance is
 *
 *     s²_prompts / n + s²_draws / m - s²_both / (n m)
 *
 * with s² of the prompts' means, of the draws' means, and of the residuals (two-way random effects; Searle, Casella
 * and McCulloch 1992). One draw alone gives no estimate of the draws' variance, and the interval is that of the
 * prompts alone.
 */
export function crossedInterval(values: readonly (readonly number[])[]): Pick<MeanInterval, "mean" | "low" | "high"> {
  const [m, n] = [values.length, values[0]?.length ?? 0];
  const drawMeans = values.map((draw) => meanInterval(draw).mean);
  const promptMeans = Array.from({ length: n }, (_, i) => meanInterval(values.map((draw) => draw[i] ?? 0)).mean);
  const ofPrompts = meanInterval(promptMeans);
  const { mean, low, high } = ofPrompts;
  if (m < 2 || n < 2) return { mean, low, high };
  const residual = (d: number, i: number): number =>
    (values[d]?.[i] ?? 0) - (drawMeans[d] ?? 0) - (promptMeans[i] ?? 0) + mean;
  const left = values.reduce((sum, draw, d) => draw.reduce((part, _, i) => part + residual(d, i) ** 2, sum), 0);
  const both = left / ((n - 1) * (m - 1));
  const variance = ofPrompts.sd ** 2 / n + meanInterval(drawMeans).sd ** 2 / m - both / (n * m);
  // At least the variance of the prompts alone: the estimate of the draws' variance may be negative.
  const half = normalQuantile * Math.sqrt(Math.max(ofPrompts.sd ** 2 / n, variance));
  return { mean, low: mean - half, high: mean + half };
}

/** Quantile of the standard normal distribution at 0.975. */
const normalQuantile = 1.959963984540054;
