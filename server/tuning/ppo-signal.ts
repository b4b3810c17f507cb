/**
 * The training signal of a batch of scored completions: advantages and returns. Letters: B batch, N completion
 * places.
 */
import type { CompletionBatch } from "./completion-batch.ts";
import type { CompletionScores, PolicyScores } from "./completion-scorer.ts";
import type { PpoConfig } from "./ppo-config.ts";
import { NegativeKlError, RunawayKlError } from "./ppo-errors.ts";
import {
  completionKl,
  estimateAdvantages,
  explainedVariance,
  maskedMoments,
  tokenRewards,
  whiten,
} from "./ppo-math.ts";

export interface SignalInputs {
  readonly batch: CompletionBatch;
  /** Scores by the policy that sampled. */
  readonly old: PolicyScores;
  readonly reference: CompletionScores;
  /** Rewards from the reward source, [B]. */
  readonly rewards: readonly number[];
  readonly klCoefficient: number;
}

export interface Signal {
  /** Whitened, [B, N]. */
  readonly advantages: Float64Array;
  readonly returns: Float64Array;
  /** Each completion's sum of log p - log p_reference, [B]. */
  readonly kls: readonly number[];
  readonly kl: number;
  readonly rewardMean: number;
  /** Standard deviation with n - 1; 0 for a single completion. */
  readonly rewardSd: number;
  /** Mean over tokens, in nats. */
  readonly entropy: number;
  /** Mean over the sampled tokens of -log p, in nats: near the entropy if sampling and scoring agree. */
  readonly surprisal: number;
  /** Variance of the returns that the values explain, before learning; null when all returns are equal. */
  readonly explainedVariance: number | null;
  readonly tokens: number;
}

export function learningSignal(inputs: SignalInputs, config: PpoConfig): Signal {
  const { batch, old, reference, rewards, klCoefficient } = inputs;
  const { rows, mask } = batch;
  const compared = { logProbs: old.logProbs, referenceLogProbs: reference.logProbs, mask };
  const perToken = tokenRewards({ ...compared, scores: rewards, klCoefficient });
  const learned = config.whitenRewards ? whiten({ values: perToken, mask }, { keepMean: true }) : perToken;
  const { gamma, lambda } = config;
  const { advantages, returns } = estimateAdvantages({
    rewards: learned,
    values: old.values,
    mask,
    rows,
    gamma,
    lambda,
  });
  const kls = completionKl(compared, rows);
  const all = new Uint8Array(rows).fill(1);
  const reward = maskedMoments({ values: rewards, mask: all });
  const entropy = maskedMoments({ values: old.entropies, mask });
  return {
    advantages: whiten({ values: advantages, mask }),
    returns,
    kls,
    kl: maskedMoments({ values: kls, mask: all }).mean,
    rewardMean: reward.mean,
    rewardSd: Math.sqrt(reward.variance),
    entropy: entropy.mean,
    surprisal: -maskedMoments({ values: old.logProbs, mask }).mean,
    explainedVariance: explainedVariance(old.values, returns, mask) ?? null,
    tokens: entropy.count,
  };
}

/** Throws `NegativeKlError` or `RunawayKlError` when the KL is out of bounds. */
export function checkKl(kl: number, step: number, { stop }: Pick<PpoConfig, "stop">): void {
  if (kl < stop.minKl) throw new NegativeKlError(step, kl, stop.minKl);
  if (!(kl <= stop.maxKl)) throw new RunawayKlError(step, kl, stop.maxKl);
}
