/**
 * How a pair of answers is scored by two models, in plain numbers: for measurements. dpo-loss.ts has the same formulas
 * as graphs, with their sources.
 */
import type { PairLogProbs } from "./pair-batch.ts";
import type { DpoLossConfig } from "./pair-loss-config.ts";
import type { PreferenceSettings } from "./preference-settings.ts";

/** A pair's log-probabilities, summed over the tokens of each answer, by the policy and by the reference. */
export interface ScoredPair {
  readonly policy: PairLogProbs;
  readonly reference: PairLogProbs;
  /** Lengths of the answers in tokens. */
  readonly lengths: { readonly chosen: number; readonly rejected: number };
}

/** Log-ratio of the chosen answer less that of the rejected one, in nats: above 0 where the policy learned the preference. */
export function marginOf({ policy, reference }: ScoredPair): number {
  return policy.chosen - reference.chosen - (policy.rejected - reference.rejected);
}

/** The loss of one pair. */
export function preferenceLoss(pair: ScoredPair, { loss, beta }: PreferenceSettings): number {
  return lossBy(loss, pair, beta);
}

type LossRules = {
  readonly [K in DpoLossConfig["kind"]]: (
    pair: ScoredPair,
    beta: number,
    settings: Extract<DpoLossConfig, { kind: K }>,
  ) => number;
};

const losses: LossRules = {
  sigmoid: (pair, beta, { labelSmoothing }) => {
    const margin = beta * marginOf(pair);
    return (1 - labelSmoothing) * softplus(-margin) + labelSmoothing * softplus(margin);
  },
  hinge: (pair, beta) => Math.max(0, 1 - beta * marginOf(pair)),
  ipo: ({ policy, reference, lengths }, beta) => {
    const chosen = (policy.chosen - reference.chosen) / lengths.chosen;
    const rejected = (policy.rejected - reference.rejected) / lengths.rejected;
    return (chosen - rejected - 1 / (2 * beta)) ** 2;
  },
};

function lossBy<K extends DpoLossConfig["kind"]>(
  settings: Extract<DpoLossConfig, { kind: K }>,
  pair: ScoredPair,
  beta: number,
): number {
  const rule: LossRules[K] = losses[settings.kind as K];
  return rule(pair, beta, settings);
}

/** log(1 + e^x), without overflow. */
function softplus(x: number): number {
  return Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x)));
}
