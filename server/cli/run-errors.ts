import { LfpError } from "../common/errors.ts";

/** The given folder holds no run. */
export class NoRunError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string) {
    super(`${folder} holds no run: name the folder that \`lfp run\` printed, or list runs with \`lfp status\``);
  }
}

/** A run has no report yet. */
export class NoReportError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, state: string) {
    super(`${folder} has no report yet; the run is ${state}`);
  }
}
