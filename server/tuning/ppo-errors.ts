import { LfpError } from "../common/errors.ts";

/** The KL estimate is negative beyond its bound: the policy exploits the estimate and no longer produces language. */
export class NegativeKlError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, kl: number, bound: number) {
    super(
      `step ${step}: the KL to the reference model is ${kl.toFixed(3)} nats a completion, below the bound of ${bound}. A true KL is never ` +
        "negative, so sampling and scoring disagree or the policy exploits the estimate. The step was not applied; lower the " +
        "learning rate, raise kl.coefficient, or sample at temperature 1.",
    );
  }
}

/** The policy's KL from the reference model exceeds its bound. */
export class RunawayKlError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, kl: number, bound: number) {
    super(
      `step ${step}: the KL to the reference model is ${kl.toFixed(3)} nats a completion, above the bound of ${bound}. The step was not ` +
        "applied; lower the learning rate, raise kl.coefficient, or raise stop.maxKl if this is wanted.",
    );
  }
}

/** The reward source returned NaN or an infinite number. */
export class NonFiniteRewardError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, source: string, value: number, text: string) {
    super(
      `step ${step}: reward '${source}' gave ${value} for ${JSON.stringify(text.slice(0, 200))}; expected a finite number. The step was ` +
        "not applied; mend the reward, then go on from the last checkpoint.",
    );
  }
}

/** There are too few prompts for one batch. */
export class TooFewPromptsError extends LfpError {
  readonly code = "input";

  constructor(got: number, needed: number) {
    super(
      `${got} texts give a prompt, but a batch needs ${needed}: give more texts, or lower tuning.batchSize or sampling.minTextCharacters`,
    );
  }
}
