import { LfpError } from "../common/errors.ts";

/** The policy has moved to where the KL estimate is impossible: it exploits the estimate and no longer speaks the language. */
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

/** The policy has run away from the reference model. */
export class RunawayKlError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, kl: number, bound: number) {
    super(
      `step ${step}: the KL to the reference model is ${kl.toFixed(3)} nats a completion, above the bound of ${bound}. The step was not ` +
        "applied; lower the learning rate, raise kl.coefficient, or raise stop.maxKl if this is wanted.",
    );
  }
}

/** The source of rewards gave a number that cannot be learned from. */
export class NonFiniteRewardError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, source: string, value: number, text: string) {
    super(
      `step ${step}: reward '${source}' gave ${value} for ${JSON.stringify(text.slice(0, 200))}; expected a finite number. The step was ` +
        "not applied; mend the reward, then go on from the last checkpoint.",
    );
  }
}

/** There is too little to draw prompts from. */
export class TooFewPromptsError extends LfpError {
  readonly code = "input";

  constructor(got: number, needed: number) {
    super(
      `${got} texts give a prompt, but a batch needs ${needed}: give more texts, or lower tuning.batchSize or sampling.minTextCharacters`,
    );
  }
}

/** A saved state belongs to other settings or another model. */
export class PpoStateError extends LfpError {
  readonly code = "input";
}

/** Policy and reference model, or model and prompts, do not belong together. */
export class PpoModelError extends LfpError {
  readonly code = "input";
}
