import { LfpError } from "../common/errors.ts";

/** Model, dictionaries and probe of a run do not belong together. */
export class LensMismatchError extends LfpError {
  readonly code = "input";
}

/** The run lacks what was requested. */
export class LensMissingError extends LfpError {
  readonly code = "not-found";
}

/** An ablation set cannot be applied to this run. */
export class AblationError extends LfpError {
  readonly code = "input";
}

/** A passage cannot be read in its preference pair or its conversation. */
export class UnreadPassageError extends LfpError {
  readonly code = "input";
}
