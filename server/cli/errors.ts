import { LfpError } from "../common/errors.ts";

/** The command line is invalid; the message says what was given and what was expected. */
export class UsageError extends LfpError {
  readonly code = "usage";
}
