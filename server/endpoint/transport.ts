/**
 * One request to a server, with its complete answer: only from the given origin, within bounds of time and of
 * decoded bytes. Keeps the body of a refusal too, because it says what to change.
 */

import { z } from "zod";
import { bodyWithin, LargeBodyError } from "../common/bounded-body.ts";
import { tryJson } from "../common/json.ts";

/** The server answered with an error status. */
export class StatusError extends Error {
  readonly status: number;
  readonly headers: Headers;
  /** The server's message, for people; may be empty, and may contain anything. */
  readonly said: string;
  /** The whole body up to a bound: codes and parameters are beside the message. */
  readonly body: string;

  constructor(status: number, headers: Headers, body: string) {
    // Omits the server's message: the library takes some wordings for its own timeouts.
    super(`status ${status}`);
    this.status = status;
    this.headers = headers;
    this.said = saidBy(body);
    this.body = body;
  }
}

/** An answer that a retry would not change: too large, or from another origin. */
export class UnfitAnswerError extends Error {
  readonly problem: string;

  constructor(problem: string) {
    super("unfit");
    this.problem = problem;
  }
}

/** Far above the size of any answer, including its thinking. */
const mostBytes = 4 * 2 ** 20;
/** Upper bound on the part of a refusal that is read. */
const mostRefusal = 20_000;

/**
 * `fetch` for that origin which reads the body before it returns, so that the caller's timeout covers all of it.
 * Throws `StatusError`, `UnfitAnswerError`, and what `fetch` throws.
 */
export async function fetchWhole(origin: string, url: URL, init: RequestInit): Promise<Response> {
  if (url.origin !== origin) throw new UnfitAnswerError(`a request would have gone to ${url.origin}, not to ${origin}`);
  const response = await fetch(url, { ...init, redirect: "manual" });
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    await response.body?.cancel();
    throw new UnfitAnswerError(
      `it redirects to ${headers.get("location") ?? "another place"}; give that address instead`,
    );
  }
  const body = await textWithin(response);
  if (!response.ok) throw new StatusError(status, headers, body.slice(0, mostRefusal));
  // Returns text, whatever content type the server declares: the reader of the reply checks what it is.
  return new Response(body === "" ? null : body, { status, headers: { "content-type": "text/plain" } });
}

async function textWithin({ body }: Response): Promise<string> {
  try {
    return new TextDecoder().decode(await bodyWithin(body, mostBytes));
  } catch (error) {
    throw error instanceof LargeBodyError ? new UnfitAnswerError(`its answer is too large: ${error.message}`) : error;
  }
}

const message = z.string().min(1);
const refusal = z.union([
  z.object({ error: z.object({ message }) }).transform(({ error }) => error.message),
  z.object({ error: message }).transform(({ error }) => error),
  z.object({ message }).transform((body) => body.message),
  z.object({ detail: message }).transform(({ detail }) => detail),
  z
    .object({
      detail: z.array(z.object({ msg: message, loc: z.array(z.union([z.string(), z.number()])).default([]) })).min(1),
    })
    .transform(({ detail }) => detail.map(({ msg, loc }) => [...loc, msg].join(" ")).join("; ")),
]);

/** The message for people in a body: servers put it in different places. */
export function saidBy(body: string): string {
  const parsed = refusal.safeParse(tryJson(body));
  return parsed.success ? parsed.data : body;
}
