import { invariant } from "../common/errors.ts";
import { normalQuantile } from "./special-functions.ts";

/** A proportion with its confidence interval. */
export interface ProportionInterval {
  /** successes / trials; NaN without trials. */
  readonly proportion: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval for a proportion (Wilson 1927), good for few trials and near 0 and 1. With z the normal quantile
 * of (1 + confidence)/2 and s = successes, n = trials:
 *
 *     (s + z²/2 ± z sqrt(s (n - s)/n + z²/4)) / (n + z²)
 *
 * Half successes (tied pairs) are allowed. Without trials the interval is [0, 1]: nothing is known.
 */
export function wilsonInterval(successes: number, trials: number, confidence = 0.95): ProportionInterval {
  invariant(
    successes >= 0 && successes <= trials,
    `successes must lie between 0 and the ${trials} trials, got ${successes}`,
  );
  invariant(confidence > 0 && confidence < 1, `confidence must lie between 0 and 1, got ${confidence}`);
  if (trials === 0) return { proportion: Number.NaN, low: 0, high: 1 };
  const z = normalQuantile((1 + confidence) / 2);
  const centre = successes + (z * z) / 2;
  const reach = z * Math.sqrt((successes * (trials - successes)) / trials + (z * z) / 4);
  return {
    proportion: successes / trials,
    low: successes === 0 ? 0 : (centre - reach) / (trials + z * z),
    high: successes === trials ? 1 : (centre + reach) / (trials + z * z),
  };
}
