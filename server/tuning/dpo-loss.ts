/**
 * The losses of direct preference optimisation as graphs. Letters: P pairs. Formulas: DPO, Rafailov et al. 2023 eq.
 * 7; label smoothing, Mitchell 2023 (https://ericmitchell.ai/cdpo.pdf); hinge, SLiC, Zhao et al. 2023; IPO, Azar et
 * al. 2023 eq. 17 on log-ratios per token, as its authors advised TRL.
 */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { DpoLossConfig } from "./dpo-config.ts";

/** One number for each of the pairs' two answers, both [P]. */
export interface OfPairs {
  readonly chosen: Node;
  readonly rejected: Node;
}

export interface DpoInputs {
  /** Log-probabilities, summed over an answer's tokens, in nats. */
  readonly policy: OfPairs;
  readonly reference: OfPairs;
  /** Lengths of the answers in tokens. */
  readonly lengths: OfPairs;
}

/**
 * The loss and its metrics, each one number, a mean over pairs. Rewards are implicit: beta (log p - log
 * p_reference).
 */
export interface DpoNodes {
  readonly loss: Node;
  readonly rewardsChosen: Node;
  readonly rewardsRejected: Node;
  readonly rewardsMargins: Node;
  /** Share of pairs whose chosen answer has the larger reward. */
  readonly rewardsAccuracies: Node;
  readonly logpsChosen: Node;
  readonly logpsRejected: Node;
}

export interface DpoLossSettings {
  readonly beta: number;
  readonly loss: DpoLossConfig;
}

export function dpoLoss({ policy, reference, lengths }: DpoInputs, { beta, loss }: DpoLossSettings): DpoNodes {
  const ratios: OfPairs = {
    chosen: ops.sub(policy.chosen, reference.chosen),
    rejected: ops.sub(policy.rejected, reference.rejected),
  };
  const rewards: OfPairs = { chosen: ops.affine(ratios.chosen, beta), rejected: ops.affine(ratios.rejected, beta) };
  const margins = ops.sub(rewards.chosen, rewards.rejected);
  return {
    loss: ops.mean(perPair(loss, { margins, ratios, lengths, beta })),
    rewardsChosen: ops.mean(rewards.chosen),
    rewardsRejected: ops.mean(rewards.rejected),
    rewardsMargins: ops.mean(margins),
    rewardsAccuracies: ops.mean(ops.greater(rewards.chosen, rewards.rejected)),
    logpsChosen: ops.mean(policy.chosen),
    logpsRejected: ops.mean(policy.rejected),
  };
}

interface Scores {
  /** [P] */
  readonly margins: Node;
  readonly ratios: OfPairs;
  readonly lengths: OfPairs;
  readonly beta: number;
}

/** Loss of each pair, [P], by the kind of loss. */
const losses: { readonly [K in DpoLossConfig["kind"]]: LossRule<K> } = {
  // -log sigmoid(x) = softplus(-x)
  sigmoid: ({ margins }, { labelSmoothing }) =>
    labelSmoothing === 0
      ? ops.softplus(ops.negate(margins))
      : ops.add(
          ops.affine(ops.softplus(ops.negate(margins)), 1 - labelSmoothing),
          ops.affine(ops.softplus(margins), labelSmoothing),
        ),
  hinge: ({ margins }) => ops.relu(ops.affine(margins, -1, 1)),
  ipo: ({ ratios, lengths, beta }) => {
    const perToken = ops.sub(ops.div(ratios.chosen, lengths.chosen), ops.div(ratios.rejected, lengths.rejected));
    return ops.square(ops.affine(perToken, 1, -1 / (2 * beta)));
  },
};

type LossRule<K extends DpoLossConfig["kind"]> = (
  scores: Scores,
  settings: Extract<DpoLossConfig, { kind: K }>,
) => Node;

function perPair<K extends DpoLossConfig["kind"]>(settings: Extract<DpoLossConfig, { kind: K }>, scores: Scores): Node {
  const rule: LossRule<K> = losses[settings.kind as K];
  return rule(scores, settings);
}
