import { LfpError } from "../common/errors.ts";
import { visibleLine } from "../common/untrusted-text.ts";

/** A config.json that cannot be used; the message says what is wrong where. */
export class ConfigError extends LfpError {
  readonly code = "input";
}

/** Invalid options of adapters: rank, alpha or targets. */
export class LoraOptionsError extends LfpError {
  readonly code = "usage";
}

/** A model type that this program has no forward pass for. */
export class UnknownArchitectureError extends LfpError {
  readonly code = "input";

  constructor(got: string, supported: readonly string[]) {
    super(`model type '${visibleLine(got, 100)}' is not supported; supported are ${supported.join(", ")}`);
  }
}

/** A tensor that the architecture needs is missing from the checkpoint, or has another shape. */
export class CheckpointTensorError extends LfpError {
  readonly code = "input";
}

/** Token ids outside the model's vocabulary. */
export class TokenIdError extends LfpError {
  readonly code = "input";

  constructor(id: number, place: number, vocabSize: number) {
    super(
      `token id ${id} at place ${place} is outside the vocabulary of ${vocabSize}: the tokenizer does not belong to this model`,
    );
  }
}

/** Cap on a model's context length, in tokens; see `usableContext`. */
export const MOST_CONTEXT = 2 ** 17;

/** More tokens than the model's context holds. */
export class ContextLengthError extends LfpError {
  readonly code = "input";

  constructor(tokens: number, contextLength: number, what: string) {
    super(
      `${what} needs ${tokens} tokens but the model's context holds ${contextLength}${contextLength === MOST_CONTEXT ? " (lfp computes with no more places, whatever a model was made for)" : ""}: shorten the text or ask for fewer new tokens`,
    );
  }
}

/** Prompts that cannot be continued. */
export class PromptError extends LfpError {
  readonly code = "input";
}
