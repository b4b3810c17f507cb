import { ErrorCodes, LSPErrorCodes, ResponseError } from "vscode-languageserver/node";
import { messageOf } from "../common/errors.ts";
import { knownError } from "../common/system-errors.ts";
import { message } from "../common/untrusted-text.ts";
import type { WireFailure } from "../protocol/failure.ts";

/** Base class of errors whose code exists only on the wire. */
export abstract class WireError extends Error {
  abstract readonly wireCode: WireFailure["code"];

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The document is not, or no longer, at the requested version. */
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

/** This input has crashed the server before. */
export class QuarantinedError extends WireError {
  readonly wireCode = "quarantined";
}

/** The client cancelled the request. */
export class RequestCancelledError extends WireError {
  readonly wireCode = "cancelled";

  constructor() {
    super("cancelled");
  }
}

/** A message's parameters do not match its declaration. */
export class ParamsError extends WireError {
  readonly wireCode = "usage";
}

/**
 * Converts anything thrown into the failure that the editor receives. An unknown error counts as a defect of the
 * server.
 */
export function failureOf(error: unknown): WireFailure {
  if (error instanceof WireError) return { code: error.wireCode, message: error.message };
  const known = knownError(error);
  if (known !== undefined) return { code: known.code, message: message(known.message) };
  return {
    code: "internal",
    message: `A defect in LFP Lens: ${message(messageOf(error))}. The server's log says where.`,
  };
}

/** Converts a failure into an error response: `data` is the whole failure, and the code is LSP's nearest. */
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
