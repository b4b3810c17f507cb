import { LfpError } from "../../common/errors.ts";

/** A classifier's folder does not hold what a classifier needs. */
export class ClassifierError extends LfpError {
  readonly code = "input";
}
