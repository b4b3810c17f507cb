import { ErrorCodes, LSPErrorCodes, ResponseError } from "vscode-languageserver/node";
import { messageOf } from "../common/errors.ts";
import { knownError } from "../common/system-errors.ts";
import { message } from "../common/untrusted-text.ts";
import type { WireFailure } from "../protocol/failure.ts";

/** Base of errors whose code only the wire knows. */
export abstract class WireError extends Error {
  abstract readonly wireCode: WireFailure["code"];

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The document is not, or no longer, what was asked about. */
export class StaleDocumentError extends WireError {
  readonly wireCode = "stale";

  constructor(uri: string, asked: number, found: number | undefined) {
    super(
      found === undefined
        ? `${uri} was closed; expected version ${asked}. Open it again and ask again.`
        : `${uri} is at version ${found}; expected version ${asked}. Ask again about the new version.`,
    );
  }
}

/** This input has brought the server down before. */
export class QuarantinedError extends WireError {
  readonly wireCode = "quarantined";
}

/** The asker took its question back. */
export class RequestCancelledError extends WireError {
  readonly wireCode = "cancelled";

  constructor() {
    super("cancelled");
  }
}

/** A message's parameters are not what its declaration says. */
export class ParamsError extends WireError {
  readonly wireCode = "usage";
}

/** Whatever was thrown, as the editor is told of it. What is no error of ours is a defect of ours. */
export function failureOf(error: unknown): WireFailure {
  if (error instanceof WireError) return { code: error.wireCode, message: error.message };
  const known = knownError(error);
  if (known !== undefined) return { code: known.code, message: message(known.message) };
  return {
    code: "internal",
    message: `A defect in LFP Lens: ${message(messageOf(error))}. The server's log says where.`,
  };
}

/** A failure as an answer: `data` is the whole failure, and the number is the nearest that LSP has. */
export function responseErrorOf(failure: WireFailure): ResponseError<WireFailure> {
  return new ResponseError(responseCodes[failure.code], failure.message, failure);
}

const responseCodes: { readonly [C in WireFailure["code"]]: number } = {
  usage: ErrorCodes.InvalidParams,
  input: LSPErrorCodes.RequestFailed,
  "not-found": LSPErrorCodes.RequestFailed,
  "non-finite": LSPErrorCodes.RequestFailed,
  resource: LSPErrorCodes.RequestFailed,
  locked: LSPErrorCodes.RequestFailed,
  quarantined: LSPErrorCodes.RequestFailed,
  cancelled: LSPErrorCodes.RequestCancelled,
  stale: LSPErrorCodes.ContentModified,
  internal: ErrorCodes.InternalError,
};
