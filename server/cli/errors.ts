import { LfpError } from "../common/errors.ts";

/** The command line itself is wrong: what was given and what was expected. */
export class UsageError extends LfpError {
  readonly code = "usage";
}
