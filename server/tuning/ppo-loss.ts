/**
 * PPO's loss as engine nodes (Schulman et al. 2017; TRL 0.7.7's `loss`, reference/method.md 1.2). Letters: B
 * completions, N completion places, V vocabulary; arrays [B, N] are flattened to [B * N].
 */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { PpoConfig } from "./ppo-config.ts";

export type LossSettings = Pick<PpoConfig, "clipRange" | "valueClipRange" | "valueCoefficient" | "ratioThreshold">;

/** The policy's current outputs, and its outputs when it sampled; all [B * N]. */
export interface LossInputs {
  /** Log-probabilities of the sampled tokens. */
  readonly logProbs: Node;
  readonly values: Node;
  readonly oldLogProbs: Node;
  readonly oldValues: Node;
  readonly advantages: Node;
  readonly returns: Node;
  /** 1 where a completion has a token, else 0. */
  readonly mask: Node;
}

/** The loss and its metrics, each one number; means are over the mask. */
export interface LossNodes {
  /** policyLoss + valueCoefficient * valueLoss; 0 if the mean ratio is above the threshold. */
  readonly loss: Node;
  readonly policyLoss: Node;
  readonly valueLoss: Node;
  /** Mean of p / p_old. */
  readonly ratio: Node;
  /** Half the mean of (log p - log p_old)^2. */
  readonly approxKl: Node;
  /** Share of tokens whose policy term is clipped. */
  readonly clipFraction: Node;
  readonly valueClipFraction: Node;
}

/**
 * L_pg = mean max(-A r, -A clip(r, 1 - e, 1 + e)) with r = exp(log p - log p_old);
 * L_v = 1/2 mean max((v - R)^2, (clip(v, v_old - e_v, v_old + e_v) - R)^2).
 */
export function ppoLoss(inputs: LossInputs, settings: LossSettings): LossNodes {
  const { mask, advantages } = inputs;
  const masked = (x: Node): Node => maskedMean(x, mask);
  // Masked before exp: a padding place may have any log-probability.
  const logRatio = ops.mul(ops.sub(inputs.logProbs, inputs.oldLogProbs), mask);
  const ratio = ops.exp(logRatio);
  const plain = ops.negate(ops.mul(advantages, ratio));
  const clipped = ops.negate(ops.mul(advantages, ops.clip(ratio, 1 - settings.clipRange, 1 + settings.clipRange)));
  const policyLoss = masked(ops.maximum(plain, clipped));
  const value = valueLoss(inputs, settings.valueClipRange);
  const meanRatio = masked(ratio);
  const total = ops.add(policyLoss, ops.affine(value.loss, settings.valueCoefficient));
  const runaway = ops.greater(meanRatio, ops.fill([], settings.ratioThreshold));
  return {
    loss: ops.where(runaway, ops.fill([], 0), total),
    policyLoss,
    valueLoss: value.loss,
    ratio: meanRatio,
    approxKl: ops.affine(masked(ops.square(logRatio)), 0.5),
    clipFraction: masked(ops.greater(clipped, plain)),
    valueClipFraction: value.clipFraction,
  };
}

/** Entropy in nats of every row of log-probabilities [R, V] -> [R]. */
export function entropyOf(logProbsRV: Node): Node {
  return ops.negate(ops.sum(ops.mul(ops.exp(logProbsRV), logProbsRV), { axes: [-1] }));
}

/** Mean of x where mask is 1. */
function maskedMean(x: Node, mask: Node): Node {
  return ops.div(ops.sum(ops.mul(x, mask)), ops.sum(mask));
}

function valueLoss(
  { values, oldValues, returns, mask }: LossInputs,
  range: number,
): { loss: Node; clipFraction: Node } {
  const low = ops.affine(oldValues, 1, -range);
  const high = ops.affine(oldValues, 1, range);
  const clipped = ops.maximum(ops.minimum(values, high), low);
  const plainError = ops.square(ops.sub(values, returns));
  const clippedError = ops.square(ops.sub(clipped, returns));
  return {
    loss: ops.affine(maskedMean(ops.maximum(plainError, clippedError), mask), 0.5),
    clipFraction: maskedMean(ops.greater(clippedError, plainError), mask),
  };
}
