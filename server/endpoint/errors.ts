import { type ErrorCode, LfpError } from "../common/errors.ts";

/** The spending cap is reached. */
export class CapReachedError extends LfpError {
  readonly code = "resource";

  constructor(spent: string, cap: string) {
    super(
      `the next request could go beyond the cap of ${cap} (${spent} spent so far): raise the cap, and it goes on from here`,
    );
  }
}

/** An endpoint cannot be used at all: wrong address, rejected key, unknown model. */
export class EndpointError extends LfpError {
  readonly code: ErrorCode;

  constructor(message: string, code: ErrorCode = "resource") {
    super(message);
    this.code = code;
  }
}
