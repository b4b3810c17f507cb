import { LfpError } from "../common/errors.ts";

/** The implicit rewards have left the range in which the policy still learns. */
export class DpoCollapseError extends LfpError {
  readonly code = "non-finite";

  constructor(step: number, what: "margin" | "chosen", value: number, bound: number) {
    const said = {
      margin: "the mean margin of chosen over rejected answers",
      chosen: "the mean implicit reward of chosen answers",
    };
    super(
      `step ${step}: ${said[what]} is ${value.toFixed(3)}, below the bound of ${bound}. Nothing of this step is saved; lower the learning rate, ` +
        "raise beta, look whether chosen and rejected are the right way round, or lower the bound in stop if this is wanted.",
    );
  }
}

/** There are too few pairs for one batch. */
export class TooFewPairsError extends LfpError {
  readonly code = "input";

  constructor(got: number, needed: number) {
    super(`${got} pairs can be learned from, but a batch needs ${needed}: give more pairs, or lower batchSize`);
  }
}

/** A tokenisation rule adds a special token that the tokenizer lacks. */
export class PairTokensError extends LfpError {
  readonly code = "input";

  constructor(name: "bos_token" | "eos_token") {
    super(`pairs are framed with a ${name}, but the tokenizer's tokenizer_config.json names none: name one there`);
  }
}
