import { type ErrorCode, LfpError } from "../common/errors.ts";

/** A feature store cannot be opened, with what is wrong and what to do. */
export class StoreError extends LfpError {
  readonly code: ErrorCode;

  constructor(message: string, options: ErrorOptions & { readonly code?: ErrorCode } = {}) {
    super(message, options);
    this.code = options.code ?? "input";
  }
}

/** A feature was named that the store does not have. */
export class NoFeatureError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, path: string) {
    super(`${path} has no feature ${id.slice(0, 60)}: \`lfp features RUN\` lists those there are`);
  }
}
