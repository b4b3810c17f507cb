/**
 * The arithmetic of PPO outside the model, in double precision, as in TRL 0.7.7 (reference/method.md 1.2). Letters:
 * B completions, N completion places. Everything [B, N] is row-major; `mask` is 1 where a completion has a token,
 * else 0; values elsewhere are ignored (but must be finite).
 */

/** Values over [B, N] with their mask. */
export interface MaskedRows {
  readonly values: ArrayLike<number>;
  readonly mask: ArrayLike<number>;
}

export interface RewardInputs {
  /** Log-probabilities by the policy that sampled, [B, N]. */
  readonly logProbs: ArrayLike<number>;
  readonly referenceLogProbs: ArrayLike<number>;
  readonly mask: ArrayLike<number>;
  /** One score a completion, [B]. */
  readonly scores: ArrayLike<number>;
  readonly klCoefficient: number;
}

/**
 * Per-token rewards [B, N]: -beta * (log p - log p_reference) everywhere (the k1 estimate of KL), plus the score at
 * the last token.
 */
export function tokenRewards(inputs: RewardInputs): Float64Array {
  const { logProbs, referenceLogProbs, mask, scores, klCoefficient } = inputs;
  const N = mask.length / scores.length;
  const rewards = Float64Array.from(
    { length: mask.length },
    (_, at) => valueAt(mask, at) * -klCoefficient * (valueAt(logProbs, at) - valueAt(referenceLogProbs, at)),
  );
  for (let row = 0; row < scores.length; row++) {
    const last = lastPlace(mask, row, N);
    if (last >= 0) rewards[row * N + last] = valueAt(rewards, row * N + last) + valueAt(scores, row);
  }
  return rewards;
}

export interface AdvantageInputs {
  /** [B, N] */
  readonly rewards: ArrayLike<number>;
  /** Values of the states in which the tokens were sampled, [B, N]. */
  readonly values: ArrayLike<number>;
  readonly mask: ArrayLike<number>;
  /** B */
  readonly rows: number;
  readonly gamma: number;
  readonly lambda: number;
}

export interface Advantages {
  /** Not whitened, [B, N]. */
  readonly advantages: Float64Array;
  /** Advantage plus value: the value head's target, [B, N]. */
  readonly returns: Float64Array;
}

/**
 * Generalized advantage estimation (Schulman et al. 2016): A_t = d_t + gamma lambda A_(t+1), d_t = r_t + gamma V_(t+1) - V_t.
 */
export function estimateAdvantages({ rewards, values, mask, rows, gamma, lambda }: AdvantageInputs): Advantages {
  const N = mask.length / rows;
  const advantages = new Float64Array(mask.length);
  const returns = new Float64Array(mask.length);
  for (let row = 0; row < rows; row++) {
    let nextValue = 0;
    let nextAdvantage = 0;
    for (let at = (row + 1) * N - 1; at >= row * N; at--) {
      const value = valueAt(values, at) * valueAt(mask, at);
      const delta = valueAt(rewards, at) * valueAt(mask, at) + gamma * nextValue - value;
      nextAdvantage = delta + gamma * lambda * nextAdvantage;
      nextValue = value;
      advantages[at] = nextAdvantage;
      returns[at] = nextAdvantage + value;
    }
  }
  return { advantages, returns };
}

/**
 * (x - mean) / sqrt(variance + 1e-8) with the masked moments; `keepMean` scales only. Places outside the mask get 0.
 */
export function whiten({ values, mask }: MaskedRows, { keepMean = false }: { keepMean?: boolean } = {}): Float64Array {
  const { mean, variance } = maskedMoments({ values, mask });
  const scale = 1 / Math.sqrt(variance + 1e-8);
  const offset = keepMean ? mean : 0;
  return Float64Array.from({ length: mask.length }, (_, at) =>
    valueAt(mask, at) === 0 ? 0 : (valueAt(values, at) - mean) * scale + offset,
  );
}

export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Unbiased variance (n - 1); 0 for a single value. */
  readonly variance: number;
}

/** Moments over the mask. */
export function maskedMoments({ values, mask }: MaskedRows): Moments {
  let count = 0;
  let total = 0;
  for (let at = 0; at < mask.length; at++) {
    count += valueAt(mask, at);
    total += valueAt(mask, at) * valueAt(values, at);
  }
  const mean = total / count;
  let squares = 0;
  for (let at = 0; at < mask.length; at++) squares += valueAt(mask, at) * (valueAt(values, at) - mean) ** 2;
  return { count, mean, variance: count > 1 ? squares / (count - 1) : 0 };
}

/** Each row's sum of log p - log p_reference, [B]: an estimate of the completion's KL in nats. */
export function completionKl(
  inputs: Pick<RewardInputs, "logProbs" | "referenceLogProbs" | "mask">,
  rows: number,
): number[] {
  const { logProbs, referenceLogProbs, mask } = inputs;
  const N = mask.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    let total = 0;
    for (let at = row * N; at < (row + 1) * N; at++)
      total += valueAt(mask, at) * (valueAt(logProbs, at) - valueAt(referenceLogProbs, at));
    return total;
  });
}

/**
 * The next KL coefficient (Ziegler et al. 2019): beta (1 + clip(KL / target - 1, -0.2, 0.2) episodes / horizon).
 */
export function adaptKlCoefficient(
  coefficient: number,
  kl: number,
  { target, horizon, episodes }: { readonly target: number; readonly horizon: number; readonly episodes: number },
): number {
  const error = Math.max(-0.2, Math.min(0.2, kl / target - 1));
  return coefficient * (1 + (error * episodes) / horizon);
}

/**
 * 1 - Var(returns - values) / Var(returns): 1 when the values predict the returns; undefined when these are all
 * equal.
 */
export function explainedVariance(
  values: ArrayLike<number>,
  returns: ArrayLike<number>,
  mask: ArrayLike<number>,
): number | undefined {
  const errors = Float64Array.from({ length: mask.length }, (_, at) => valueAt(returns, at) - valueAt(values, at));
  const total = maskedMoments({ values: returns, mask }).variance;
  // Equal returns differ by rounding.
  return total < 1e-12 ? undefined : 1 - maskedMoments({ values: errors, mask }).variance / total;
}

function lastPlace(mask: ArrayLike<number>, row: number, N: number): number {
  for (let place = N - 1; place >= 0; place--) if (valueAt(mask, row * N + place) !== 0) return place;
  return -1;
}

/** Indices here come from the arrays' own lengths, so the 0 for an index out of range is never used. */
function valueAt(values: ArrayLike<number>, index: number): number {
  return values[index] ?? 0;
}
