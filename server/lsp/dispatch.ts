import type { CancellationToken, Connection } from "vscode-languageserver/node";
import type { z } from "zod";
import type { NotificationType, RequestType } from "../protocol/message.ts";
import { failureOf, ParamsError, RequestCancelledError, responseErrorOf } from "./failures.ts";
import { MAX_REQUESTS_AT_ONCE } from "./limits.ts";

/** What a handler receives besides its parameters. */
export interface RequestContext {
  /**
   * Aborted when the client cancels the request; the client receives its reason as the error. Long work checks it
   * between slices.
   */
  readonly signal: AbortSignal;
}

/** The log of the boundary. */
export interface ServerLog {
  readonly info: (line: string) => void;
  readonly error: (line: string) => void;
}

/**
 * The only boundary between the wire and the handlers: it parses every message's parameters with the message's schema,
 * times every response, answers every cancellation at once, and turns every error into a `WireFailure`. A handler that
 * throws affects nothing else.
 */
export class Dispatcher {
  readonly #connection: Connection;
  readonly #log: ServerLog;
  #underWay = 0;
  /** Work in progress, whether or not its request was answered; `close` aborts and awaits it. */
  readonly #working = new Map<Promise<unknown>, AbortController>();
  #isClosed = false;

  constructor(connection: Connection, log: ServerLog) {
    this.#connection = connection;
    this.#log = log;
  }

  request<P extends z.ZodType, R extends z.ZodType>(
    { method, params: schema }: RequestType<P, R>,
    handle: (params: z.output<P>, context: RequestContext) => Promise<z.output<R>> | z.output<R>,
  ): void {
    this.standardRequest(method, schema, handle);
  }

  /** Handles one of LSP's own requests, with a schema for those of its parameters that are used. */
  standardRequest<P extends z.ZodType>(
    method: string,
    schema: P,
    handle: (params: z.output<P>, context: RequestContext) => unknown,
  ): void {
    this.#connection.onRequest(method, async (...given: unknown[]) => {
      const { params, token } = takeApart(given);
      return this.#answer(method, token, async (context) => handle(parse(method, schema, params), context));
    });
  }

  notification<P extends z.ZodType>(
    { method, params: schema }: NotificationType<P>,
    handle: (params: z.output<P>) => void,
  ): void {
    this.standardNotification(method, schema, handle);
  }

  standardNotification<P extends z.ZodType>(method: string, schema: P, handle: (params: z.output<P>) => void): void {
    this.#connection.onNotification(method, (...given: unknown[]) => {
      this.guard(method, () => handle(parse(method, schema, given[0])));
    });
  }

  /** Runs work that nobody awaits, and logs its failure. */
  guard(what: string, work: () => void | Promise<void>): void {
    const logFailure = (error: unknown): void => {
      const failure = failureOf(error);
      if (failure.code !== "cancelled" && failure.code !== "stale") this.#log.error(`${what}: ${describe(error)}`);
    };
    try {
      work()?.catch(logFailure);
    } catch (error) {
      logFailure(error);
    }
  }

  /**
   * Cancels every request and waits until the work on each has ended: handlers release at their end what they borrowed
   * or opened, and threads must end before the process does.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const controller of this.#working.values()) controller.abort(new RequestCancelledError());
    await Promise.allSettled(this.#working.keys());
  }

  #track<T>(work: Promise<T>, controller: AbortController): Promise<T> {
    this.#working.set(work, controller);
    const forget = (): unknown => this.#working.delete(work);
    work.then(forget, forget);
    return work;
  }

  async #answer(
    method: string,
    token: CancellationToken,
    work: (context: RequestContext) => unknown,
  ): Promise<unknown> {
    if (this.#underWay >= MAX_REQUESTS_AT_ONCE)
      return responseErrorOf({
        code: "resource",
        message: `${MAX_REQUESTS_AT_ONCE} requests are under way; ask again later.`,
      });
    const controller = new AbortController();
    const subscription = token.onCancellationRequested(() => controller.abort(new RequestCancelledError()));
    if (token.isCancellationRequested || this.#isClosed) controller.abort(new RequestCancelledError());
    const startMs = performance.now();
    this.#underWay += 1;
    try {
      // The client receives the cancellation at once; the work ends when it next checks its signal.
      return await Promise.race([
        rejectedBy(controller.signal),
        this.#track(inOrder(work, controller.signal), controller),
      ]);
    } catch (error) {
      const failure = failureOf(controller.signal.aborted ? controller.signal.reason : error);
      if (failure.code === "internal") this.#log.error(`${method}: ${describe(error)}`);
      return responseErrorOf(failure);
    } finally {
      this.#underWay -= 1;
      subscription.dispose();
      const tookMs = performance.now() - startMs;
      if (tookMs > SLOW_MS) this.#log.info(`${method} took ${Math.round(tookMs)} ms`);
    }
  }
}

const SLOW_MS = 250;

async function inOrder(work: (context: RequestContext) => unknown, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  return await work({ signal });
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Splits the library's arguments: the parameters, if any, and then the token. */
function takeApart(given: readonly unknown[]): { params: unknown; token: CancellationToken } {
  const token = given.at(-1);
  if (!isToken(token)) throw new ParamsError("a request came without a token");
  return { params: given.length > 1 ? given[0] : undefined, token };
}

function isToken(value: unknown): value is CancellationToken {
  return typeof value === "object" && value !== null && "isCancellationRequested" in value;
}

function parse<P extends z.ZodType>(method: string, schema: P, params: unknown): z.output<P> {
  const { data, error } = schema.safeParse(params);
  if (error === undefined) return data as z.output<P>;
  const issues = error.issues.slice(0, 5).map(({ path, message }) => `${path.join(".") || "params"}: ${message}`);
  throw new ParamsError(`${method} was asked wrongly: ${issues.join("; ")}`);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
