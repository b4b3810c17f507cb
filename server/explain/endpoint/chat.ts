/**
 * Questions to an OpenAI-compatible endpoint, answered as JSON of a given shape: temperature 0, no streaming, answers kept by content. The key
 * goes to the given origin only, redirects are refused, and no message, log or error carries it.
 */
import { createHash } from "node:crypto";
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { EndpointError } from "../errors.ts";
import { inertLine } from "../plain-text.ts";
import type { Outcome } from "../types.ts";
import { jsonIn } from "./json-text.ts";
import { Patience, type PatienceOptions, type Refusal, retryAfterOf } from "./patience.ts";
import { nothing, type Reservation, type Spend, sumOf, type Usage } from "./spend.ts";

export interface Endpoint {
  /** Ends before `/chat/completions`: `https://api.openai.com/v1`, `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Empty for a server that asks for none. */
  readonly apiKey: string;
}

/** Answers by what was asked. */
export interface AnswerCache {
  get(key: string): (Usage & { readonly answer: string }) | undefined;
  set(key: string, answer: Usage & { readonly answer: string }): void;
}

export interface ChatOptions {
  readonly endpoint: Endpoint;
  readonly spend: Spend;
  readonly cache: AnswerCache;
  readonly patience: PatienceOptions;
  /** For one request. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface Question<T> {
  /** Names the answer's schema. */
  readonly name: string;
  readonly system: string;
  readonly user: string;
  readonly schema: z.ZodType<T>;
  readonly maxOutputTokens: number;
}

type Message = { readonly role: "system" | "user" | "assistant"; readonly content: string };

/** How an answer's shape is asked for; servers differ in what they know. */
type Format = "schema" | "object" | "text";

interface Taken {
  format: Format;
  sendsTemperature: boolean;
  /** What newer models call the bound on an answer; older servers know only `max_tokens`. */
  boundName: "max_tokens" | "max_completion_tokens";
}

/** Asks one model of one server. Learns which forms of request the server refuses, and does not use them again. */
export class Chat {
  readonly #options: ChatOptions;
  readonly #client: OpenAI;
  readonly #patience: Patience;
  /** What this server has not refused so far. */
  readonly #takes: Taken = { format: "schema", sendsTemperature: true, boundName: "max_tokens" };

  /** Throws `EndpointError` for an address that a key must not go to. */
  constructor(options: ChatOptions) {
    const { endpoint, timeoutMs, patience } = options;
    this.#options = options;
    this.#patience = new Patience(patience);
    const origin = checkAddress(endpoint);
    this.#client = new OpenAI({
      baseURL: endpoint.baseUrl,
      // The library insists on one.
      apiKey: endpoint.apiKey === "" ? "none" : endpoint.apiKey,
      // What the environment holds is not what the user confirmed.
      organization: null,
      project: null,
      maxRetries: 0,
      timeout: timeoutMs,
      logLevel: "off",
      fetch: async (url, init) => {
        const to = new URL(url instanceof Request ? url.url : url);
        if (to.origin !== origin)
          throw new EndpointError(`a request would have gone to ${to.origin}, not to ${origin}`);
        const headers = headersFor(endpoint, new Headers(init?.headers));
        return await fetch(url, { ...init, headers, redirect: "error" });
      },
    });
  }

  /** The key of a question in the cache: it says who is asked what, and nothing of the API key. */
  keyOf({ name, system, user, maxOutputTokens }: Question<unknown>): string {
    const { baseUrl, model } = this.#options.endpoint;
    const asked = [promptFormat, baseUrl, model, name, system, user, maxOutputTokens];
    return createHash("sha256").update(JSON.stringify(asked)).digest("hex");
  }

  /** The most that a question can cost. No tokenizer makes more tokens of a text than it has bytes. */
  mostOf({ system, user, maxOutputTokens }: Question<unknown>): Usage {
    return { inputTokens: bytesOf([system, user]) + overheadTokens, outputTokens: maxOutputTokens };
  }

  isCached(question: Question<unknown>): boolean {
    return this.#options.cache.get(this.keyOf(question)) !== undefined;
  }

  /** Throws `CapReachedError`, and `EndpointError` for what every other question would meet too. */
  async ask<T>(question: Question<T>): Promise<Outcome<T>> {
    const { cache } = this.#options;
    const key = this.keyOf(question);
    const known = cache.get(key);
    const parsed = known === undefined ? undefined : question.schema.safeParse(jsonIn(known.answer));
    if (parsed?.success) return { kind: "answer", value: parsed.data };
    const messages: Message[] = [
      { role: "system", content: question.system },
      { role: "user", content: question.user },
    ];
    const first = await this.#complete(question, messages);
    if (first.kind === "none") return first;
    const found = understood(first.value.text, question.schema);
    if (found.kind === "answer") return this.#kept(key, first.value, found);
    // One chance to mend it.
    const second = await this.#complete(question, [
      ...messages,
      { role: "assistant", content: first.value.text.slice(0, 4000) },
      {
        role: "user",
        content: `That is not the JSON that was asked for: ${found.reason}. Answer again, with that JSON and nothing else.`,
      },
    ]);
    if (second.kind === "none") return second;
    const mended = understood(second.value.text, question.schema);
    const usage = sumOf(first.value, second.value);
    return mended.kind === "answer" ? this.#kept(key, { ...second.value, ...usage }, mended) : mended;
  }

  #kept<T>(key: string, { text, inputTokens, outputTokens }: Completion, outcome: Outcome<T>): Outcome<T> {
    this.#options.cache.set(key, { answer: text, inputTokens, outputTokens });
    return outcome;
  }

  /** One completion, tried again as long as that may help. */
  async #complete(question: Question<unknown>, messages: readonly Message[]): Promise<Outcome<Completion>> {
    const { signal, spend } = this.#options;
    for (let tries = 1; ; ) {
      signal?.throwIfAborted();
      await this.#patience.turn();
      const reservation = spend.reserve({
        inputTokens: bytesOf(messages.map(({ content }) => content)) + overheadTokens,
        outputTokens: question.maxOutputTokens,
      });
      const result = await this.#send(question, messages, reservation);
      if (result.kind !== "refused") return result;
      signal?.throwIfAborted();
      if (result.adapted) continue;
      if (!(await this.#patience.again(tries, result.refusal, signal)))
        return { kind: "none", reason: `${result.refusal.reason}, after ${tries} tries` };
      tries++;
    }
  }

  async #send(question: Question<unknown>, messages: readonly Message[], reservation: Reservation): Promise<Sent> {
    const { endpoint, signal } = this.#options;
    const { format, sendsTemperature } = this.#takes;
    try {
      const body = {
        model: endpoint.model,
        messages: withShape(messages, question.schema, format),
        stream: false,
        [this.#takes.boundName]: question.maxOutputTokens,
        ...(sendsTemperature ? { temperature: 0, seed: 0 } : {}),
        ...formatField(format, question),
      } satisfies OpenAI.ChatCompletionCreateParamsNonStreaming;
      const reply: unknown = await this.#client.chat.completions.create(body, signal === undefined ? {} : { signal });
      return completionOf(reply, reservation);
    } catch (error) {
      // A request that ran out of time may have been worked on, and charged.
      reservation.settle(error instanceof APIConnectionTimeoutError ? reservation.most : nothing);
      if (error instanceof EndpointError) throw error;
      if (!(error instanceof APIError)) {
        signal?.throwIfAborted();
        return refused(`its reply could not be read (${this.#safe(error)})`, true);
      }
      return this.#refusalOf(error, format, sendsTemperature);
    }
  }

  /** What an error of the server means: that another form of request may do, that later may do, or that nothing will. */
  #refusalOf(error: APIError, format: Format, sentTemperature: boolean): Sent {
    const status: unknown = error.status;
    const said = this.#safe(error);
    if (error instanceof APIConnectionTimeoutError) return refused("it did not answer in time", true);
    if (error instanceof APIConnectionError) return refused(`it could not be reached (${said})`, true);
    if (status === 400 || status === 422) {
      if (format !== "text" && /response_format|json_schema|json_object/i.test(said)) {
        if (this.#takes.format === format) this.#takes.format = format === "schema" ? "object" : "text";
        return adaptedRequest;
      }
      if (this.#takes.boundName === "max_tokens" && /max_tokens|max_completion_tokens/i.test(said)) {
        this.#takes.boundName = "max_completion_tokens";
        return adaptedRequest;
      }
      if (sentTemperature && /temperature|seed/i.test(said)) {
        this.#takes.sendsTemperature = false;
        return adaptedRequest;
      }
      return { kind: "none", reason: `it refused the request: ${said}` };
    }
    if (status === 401 || status === 403)
      throw new EndpointError(`${this.#where()} refused the key (${status})`, "usage");
    if (status === 404)
      throw new EndpointError(`${this.#where()} knows no model ${this.#options.endpoint.model}: ${said}`, "not-found");
    const mayPass = status === 408 || status === 409 || status === 429 || (typeof status === "number" && status >= 500);
    return {
      kind: "refused",
      adapted: false,
      refusal: {
        reason: `it answered with status ${status}`,
        mayPass,
        retryAfterMs: retryAfterOf(error.headers, Date.now()),
      },
    };
  }

  #where(): string {
    return new URL(this.#options.endpoint.baseUrl).origin;
  }

  /** An error's message on one line; a server may have put the key into it. */
  #safe(error: unknown): string {
    const { apiKey } = this.#options.endpoint;
    const text = messageOf(error);
    return inertLine(apiKey === "" ? text : text.replaceAll(apiKey, "[key]"), 200);
  }
}

/** Raised when what a question means changes. */
const promptFormat = 1;
/** For roles and the answer's schema. */
const overheadTokens = 1200;

interface Completion extends Usage {
  readonly text: string;
}

type Sent =
  | Outcome<Completion>
  /** `adapted`: the next request will be of another form, so it does not count as a try. */
  | { readonly kind: "refused"; readonly adapted: boolean; readonly refusal: Refusal };

const adaptedRequest: Sent = {
  kind: "refused",
  adapted: true,
  refusal: { reason: "", mayPass: true, retryAfterMs: null },
};

function refused(reason: string, mayPass: boolean): Sent {
  return { kind: "refused", adapted: false, refusal: { reason, mayPass, retryAfterMs: null } };
}

/** What of a reply is looked at; a server may send anything. */
const replySchema = z.object({
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish(),
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
      }),
    )
    .min(1),
  usage: z.object({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0) }).nullish(),
});

function completionOf(reply: unknown, reservation: Reservation): Sent {
  const parsed = replySchema.safeParse(reply);
  const usage = parsed.data?.usage;
  const used =
    usage === null || usage === undefined
      ? reservation.most
      : { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
  reservation.settle(used);
  if (!parsed.success) return refused("its reply is no chat completion", true);
  const [choice] = parsed.data.choices;
  const { content, refusal } = choice?.message ?? {};
  if (typeof refusal === "string" && refusal !== "")
    return { kind: "none", reason: `the model refused: ${inertLine(refusal, 200)}` };
  if (choice?.finish_reason === "content_filter")
    return { kind: "none", reason: "the endpoint's filter kept the answer" };
  if (typeof content !== "string" || content === "") return { kind: "none", reason: "the answer is empty" };
  return { kind: "answer", value: { text: content, ...used } };
}

function understood<T>(text: string, schema: z.ZodType<T>): Outcome<T> {
  const json = jsonIn(text);
  if (json === undefined) return { kind: "none", reason: "no JSON could be found in it" };
  const parsed = schema.safeParse(json);
  if (parsed.success) return { kind: "answer", value: parsed.data };
  return { kind: "none", reason: inertLine(z.prettifyError(parsed.error), 300) };
}

/** A server without schemas is told the shape in words. */
function withShape(messages: readonly Message[], schema: z.ZodType, format: Format): Message[] {
  if (format === "schema") return [...messages];
  const shape = `Answer with one JSON object of this schema and nothing else: ${JSON.stringify(jsonSchemaOf(schema))}`;
  return messages.map((message, at) =>
    at === 0 ? { ...message, content: `${message.content}\n\n${shape}` } : message,
  );
}

function formatField(format: Format, { name, schema }: Question<unknown>) {
  if (format === "text") return {};
  if (format === "object") return { response_format: { type: "json_object" as const } };
  const json_schema = { name, strict: true, schema: jsonSchemaOf(schema) };
  return { response_format: { type: "json_schema" as const, json_schema } };
}

function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
}

/** What is sent beside the question. The library adds headers of its own, and the environment's (OPENAI_CUSTOM_HEADERS), meant for another server. */
function headersFor({ apiKey }: Pick<Endpoint, "apiKey">, made: Headers): Headers {
  const kept = ["accept", "content-type"].flatMap((name): [string, string][] => {
    const value = made.get(name);
    return value === null ? [] : [[name, value]];
  });
  return new Headers(apiKey === "" ? kept : [...kept, ["authorization", `Bearer ${apiKey}`]]);
}

/** The origin that requests may go to. A key travels encrypted or stays on the machine. */
export function checkAddress({ baseUrl, apiKey }: Pick<Endpoint, "baseUrl" | "apiKey">): string {
  const url = URL.parse(baseUrl);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "")
    throw new EndpointError(
      `${JSON.stringify(inertLine(baseUrl, 100))} is no endpoint: expected an address such as https://api.openai.com/v1`,
      "usage",
    );
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (apiKey !== "" && url.protocol === "http:" && !isLocal)
    throw new EndpointError(
      `${url.origin} is not encrypted, so no key is sent to it: use https, or give no key`,
      "usage",
    );
  return url.origin;
}
