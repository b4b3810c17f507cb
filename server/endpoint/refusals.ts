/**
 * Classifies requests without an answer: a retry may succeed, this question has no answer, or no question would get
 * one.
 */
import { APIConnectionError, APIConnectionTimeoutError } from "openai";
import { messageOf } from "../common/errors.ts";
import { EndpointError } from "./errors.ts";
import { type Refusal, retryAfterOf } from "./patience.ts";
import { inertLine } from "./plain-text.ts";
import { StatusError, UnfitAnswerError } from "./transport.ts";

export interface Asked {
  readonly origin: string;
  readonly path: string;
  readonly model: string;
  readonly apiKey: string;
  readonly timeoutMs: number;
  /** Whether the server has answered any request before. */
  readonly answered: boolean;
  /** Whether messages may quote the server, which may quote what it was sent. */
  readonly quotes: boolean;
}

/** The error that the library's own error wraps. */
export function causeOf(error: unknown): unknown {
  return error instanceof APIConnectionError && error.cause !== undefined ? error.cause : error;
}

/** Classifies an error. Throws `EndpointError` for a failure that every other question would meet too. */
export function refusalOf(error: unknown, asked: Asked): Refusal {
  const cause = causeOf(error);
  if (cause instanceof StatusError) return ofStatus(cause, asked);
  if (cause instanceof UnfitAnswerError) throw new EndpointError(`${asked.origin}: ${keyless(cause.problem, asked)}`);
  if (error instanceof APIConnectionTimeoutError) return ofTimeout(asked);
  return ofConnection(cause, asked);
}

function ofTimeout({ origin, timeoutMs, answered }: Asked): Refusal {
  const seconds = `${Number((timeoutMs / 1000).toPrecision(3))} s`;
  if (!answered)
    throw new EndpointError(
      `${origin} did not answer within ${seconds}. Check that it works, or give it more time (--timeout)`,
    );
  return { reason: `it did not answer within ${seconds}`, mayPass: true, retryAfterMs: null, mostTries: 2 };
}

/** Errors that only a change of the address or of the server can fix; a bad port is one that `fetch` always refuses. */
const dead =
  /^(bad port|ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ERR_TLS.*|ERR_SSL.*|CERT_.*|.*_CERT.*)$/;

function ofConnection(error: unknown, asked: Asked): Refusal {
  const cause = innermost(error);
  const why = cause.code ?? keyless(cause.message, asked);
  if (!asked.answered && dead.test(why))
    throw new EndpointError(
      `${asked.origin} could not be reached (${why}). Check the address, and that the server runs`,
    );
  return { reason: `it could not be reached (${why})`, mayPass: true, retryAfterMs: null };
}

function ofStatus(error: StatusError, asked: Asked): Refusal {
  const { status, headers, body } = error;
  const { origin, path, model, apiKey } = asked;
  const words = asked.quotes ? keyless(error.said, asked) : "";
  const answer = words === "" ? `${status}` : `${status}: ${words}`;
  // A server's message about a key may quote parts of it.
  if (status === 401 && apiKey !== "") throw new EndpointError(`${origin} refused the key (401)`, "usage");
  if (status === 401 || status === 403)
    throw new EndpointError(
      apiKey === "" ? `${origin} wants a key (${answer})` : `${origin} refused the key (${answer})`,
      "usage",
    );
  if (status === 402 || /insufficient_quota|billing_hard_limit|exceeded your current quota/i.test(body))
    throw new EndpointError(`${origin} takes no more requests (${answer})`);
  if (status === 404 && /model/i.test(body))
    throw new EndpointError(`${origin} knows no model ${model} (${answer})`, "not-found");
  if (status === 404 || status === 405)
    throw new EndpointError(
      `${origin} has nothing at ${path} (${answer}). Check the address: those of OpenAI-compatible servers mostly end in /v1`,
      "not-found",
    );
  if (status === 400 || status === 422)
    return { reason: `it refused the request (${answer})`, mayPass: false, retryAfterMs: null };
  return {
    reason: `it answered with status ${status}${words === "" ? "" : ` (${words})`}`,
    mayPass: status === 408 || status === 409 || status === 429 || status >= 500,
    retryAfterMs: retryAfterOf(headers, Date.now()),
  };
}

/** A message on one line, without the key, which it may quote. */
function keyless(text: string, { apiKey }: Pick<Asked, "apiKey">): string {
  return inertLine(apiKey === "" ? text : text.replaceAll(apiKey, "[key]"), 300);
}

/** The innermost cause of an error; the library's own error says nothing. */
function innermost(error: unknown): { readonly code: string | undefined; readonly message: string } {
  let [code, message]: [string | undefined, string] = [undefined, messageOf(error)];
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ("code" in at && typeof at.code === "string") code ??= at.code;
    message = at.message;
  }
  return { code, message };
}
