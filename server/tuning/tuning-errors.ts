/** Errors of every kind of tuning. */
import { LfpError } from "../common/errors.ts";

/** A saved state belongs to other settings, another model or other data. */
export class TrainerStateError extends LfpError {
  readonly code = "input";
}

/** Policy and reference model, or a model and what it is tuned on, do not belong together. */
export class TuningModelError extends LfpError {
  readonly code = "input";
}
