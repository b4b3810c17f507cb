import { LfpError } from "../common/errors.ts";

/** A question names a run that is in none of the folders of runs. */
export class UnknownRunError extends LfpError {
  readonly code = "not-found";

  constructor(name: string, known: readonly string[]) {
    super(`there is no run ${JSON.stringify(name.slice(0, 200))}; there ${namesOf(known)}`);
  }
}

/** A question's input does not fit its schema. */
export class QuestionInputError extends LfpError {
  readonly code = "usage";
}

/** The run has not yet got what the question is about. */
export class NotYetError extends LfpError {
  readonly code = "not-found";
}

function namesOf(known: readonly string[]): string {
  const shown = known.slice(0, 30).join(", ");
  return `${known.length === 1 ? "is" : "are"} ${shown}${known.length > 30 ? ` and ${known.length - 30} more` : ""}`;
}
