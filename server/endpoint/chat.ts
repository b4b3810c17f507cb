/**
 * Asks an OpenAI-compatible endpoint questions, answered as JSON of a given shape: temperature 0, no streaming,
 * answers cached by content. The key goes to the given origin only, redirects are refused, and no message, log or
 * error contains it.
 */

import { createHash } from "node:crypto";
import OpenAI, { APIConnectionTimeoutError } from "openai";
import type { z } from "zod";
import { checkAddress, type Endpoint } from "./address.ts";
import { formatField, type Message, understood, withShape } from "./answer-shape.ts";
import { EndpointError } from "./errors.ts";
import { type Form, type Format, firstForm, weakerForm, weakest } from "./forms.ts";
import type { AnswerSource, Asked, NoAnswer, Outcome } from "./outcome.ts";
import { Patience, type PatienceOptions, type Refusal } from "./patience.ts";
import { causeOf, refusalOf } from "./refusals.ts";
import { type Reply, readReply } from "./reply.ts";
import { nothing, type Reservation, type Spend, sumOf, type Usage } from "./spend.ts";
import { fetchWhole, StatusError } from "./transport.ts";

export interface CachedAnswer extends Usage {
  readonly answer: string;
  readonly source?: AnswerSource | null;
}

/** Answers by the content of the question. */
export interface AnswerCache {
  get(key: string): CachedAnswer | undefined;
  set(key: string, answer: CachedAnswer): void;
  /** Questions that the model did not answer, for a cache that has none of them asked again. */
  readonly unanswered?: {
    get(key: string): NoAnswer | undefined;
    set(key: string, cause: NoAnswer): void;
  };
}

export interface ChatOptions {
  readonly endpoint: Endpoint;
  readonly spend: Spend;
  readonly cache: AnswerCache;
  readonly patience: PatienceOptions;
  /** Timeout of one request, up to the last byte of its answer. */
  readonly timeoutMs: number;
  /**
   * Tokens for thinking in every answer, besides the answer itself, from the first question on. Default 0: none
   * until an answer was cut.
   */
  readonly thinkingTokens?: number;
  /** Sent with every request where the server accepts one. Default 0. */
  readonly seed?: number;
  /** Whether messages omit the server's words, which may quote what it was sent. Default false. */
  readonly isPrivate?: boolean;
  readonly signal?: AbortSignal;
  /** Whether the signal lets requests finish that were sent already: they may be charged for. Default false. */
  readonly finishesRequests?: boolean;
}

export interface Question<T> {
  /** Name of the answer's schema. */
  readonly name: string;
  readonly system: string;
  readonly user: string;
  readonly schema: z.ZodType<T>;
  readonly maxOutputTokens: number;
}

/** Whoever answers questions. One question's failure is an outcome; what every other would meet too is thrown. */
export interface Asker {
  ask<T>(question: Question<T>): Promise<Outcome<T>>;
}

/** Asks one model of one server. Remembers which forms of request the server refuses, and does not use them again. */
export class Chat implements Asker {
  readonly #options: ChatOptions;
  readonly #origin: string;
  readonly #client: OpenAI;
  readonly #patience: Patience;
  /** The form that this server accepted, by the kind of question: it may reject one schema and accept another. */
  readonly #formats = new Map<string, Format>();
  #takes: Form;
  #answered = false;
  /** Number of consecutive questions without an answer after all retries. */
  #lost = 0;

  /** Throws `EndpointError` for an address that a key must not be sent to. */
  constructor(options: ChatOptions) {
    const { endpoint, timeoutMs, patience, thinkingTokens = 0 } = options;
    this.#options = options;
    this.#patience = new Patience(patience);
    this.#takes = firstForm(thinkingTokens);
    const origin = checkAddress(endpoint);
    this.#origin = origin;
    this.#client = new OpenAI({
      baseURL: endpoint.baseUrl,
      // The library requires a non-empty key.
      apiKey: endpoint.apiKey === "" ? "none" : endpoint.apiKey,
      // Otherwise the library reads it from the environment, which the user did not confirm.
      organization: null,
      project: null,
      maxRetries: 0,
      timeout: timeoutMs,
      logLevel: "off",
      fetch: async (url, init) => {
        const to = new URL(url instanceof Request ? url.url : url);
        return await fetchWhole(origin, to, { ...init, headers: headersFor(endpoint, new Headers(init?.headers)) });
      },
    });
  }

  /** The cache key of a question: depends on server, model and question, not on the API key. */
  keyOf({ name, system, user, maxOutputTokens }: Question<unknown>): string {
    const { endpoint, seed = 0 } = this.#options;
    const { baseUrl, model } = endpoint;
    const asked = [promptFormat, baseUrl, model, name, system, user, maxOutputTokens, ...(seed === 0 ? [] : [seed])];
    return createHash("sha256").update(JSON.stringify(asked)).digest("hex");
  }

  /**
   * Asks a question. Throws `CapReachedError`, and `EndpointError` for a failure that every other question would
   * meet too.
   */
  async ask<T>(question: Question<T>): Promise<Asked<T>> {
    const known = this.known(question);
    if (known !== undefined) return known;
    const key = this.keyOf(question);
    const asked = await this.#asked(question);
    if (asked.kind === "none") {
      if (isFinal[asked.cause]) this.#options.cache.unanswered?.set(key, asked.cause);
      return asked;
    }
    const { value, text, inputTokens, outputTokens, source } = asked;
    this.#options.cache.set(key, { answer: text, inputTokens, outputTokens, source });
    return { kind: "answer", value, source };
  }

  /** What the cache holds about a question; undefined where it has to be asked. */
  known<T>(question: Question<T>): Asked<T> | undefined {
    const { cache } = this.#options;
    const key = this.keyOf(question);
    const cause = cache.unanswered?.get(key);
    if (cause !== undefined) return { kind: "none", reason: "it was asked before, and got no answer", cause };
    const known = cache.get(key);
    const parsed = known === undefined ? undefined : understood(known.answer, question.schema);
    return parsed?.kind === "answer" ? { ...parsed, source: known?.source ?? null } : undefined;
  }

  async #asked<T>(question: Question<T>): Promise<Accepted<T> | Unanswered> {
    const messages: Message[] = [
      { role: "system", content: question.system },
      { role: "user", content: question.user },
    ];
    const first = await this.#complete(question, messages);
    if (first.kind === "none") return first;
    const found = understood(first.value.text, question.schema);
    if (found.kind === "answer") return { ...first.value, ...found };
    // One chance for the model to correct its answer.
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
    return mended.kind === "answer"
      ? { ...second.value, ...usage, ...mended }
      : { kind: "none", reason: mended.reason, cause: "unusable" };
  }

  /** Requests one completion, retried as long as that may help, in a form that the server accepts. */
  async #complete(question: Question<unknown>, messages: readonly Message[]): Promise<Completed> {
    const { signal } = this.#options;
    let form: Form = { ...this.#takes, format: this.#formats.get(question.name) ?? this.#takes.format };
    let used = nothing;
    for (let tries = 1; ; ) {
      signal?.throwIfAborted();
      await this.#patience.turn();
      const sent = await this.#send(question, messages, form);
      used = sumOf(used, sent.used);
      if (sent.kind === "answer") {
        const roomier = this.#roomier(question, sent, form);
        if (roomier === undefined) return this.#outcome(question, sent, form, used);
        form = roomier;
        continue;
      }
      signal?.throwIfAborted();
      if (sent.kind === "none") return { kind: "none", reason: sent.reason, cause: "refused" };
      if (sent.kind === "otherForm") {
        form = sent.form;
        continue;
      }
      if (!(await this.#patience.again(tries, sent.refusal, signal))) return this.#lostTo(sent.refusal, tries);
      tries++;
    }
  }

  /** The form for a retry if the token bound cut the answer; all later questions get the same bound. */
  #roomier(question: Question<unknown>, { text, cut }: Answer, form: Form): Form | undefined {
    if (!cut || understood(text, question.schema).kind === "answer") return undefined;
    const thinkingTokens = Math.max(roomToThink, this.#takes.thinkingTokens);
    if (form.thinkingTokens >= thinkingTokens) return undefined;
    this.#takes = { ...this.#takes, thinkingTokens };
    return { ...form, thinkingTokens, effort: form.effort === "unsaid" ? "low" : form.effort };
  }

  #outcome(question: Question<unknown>, answer: Answer, form: Form, used: Usage): Completed {
    const { text, cut, thought } = answer;
    this.#lost = 0;
    // The server accepted the form.
    this.#formats.set(question.name, form.format);
    this.#takes = { ...weakest(this.#takes, form), format: this.#takes.format };
    if (cut && understood(text, question.schema).kind === "none") {
      const bound = question.maxOutputTokens + form.thinkingTokens;
      const why = thought ? "; the model spent them on thinking" : "";
      return {
        kind: "none",
        reason: `the answer was cut at ${bound} tokens${why} (--thinking-tokens gives it more room)`,
        cause: "unusable",
      };
    }
    if (text === "") {
      const why = thought ? "; the model thought and did not answer" : "";
      return { kind: "none", reason: `the answer is empty${why}`, cause: "unusable" };
    }
    const source = { ...answer.source, temperature: form.sendsTemperature ? (0 as const) : null };
    return { kind: "answer", value: { text, ...used, source } };
  }

  /** Records a question without an answer. Throws `EndpointError` after too many in a row. */
  #lostTo({ reason, mayPass }: Refusal, tries: number): Unanswered {
    if (!mayPass) return { kind: "none", reason, cause: "rejected" };
    this.#lost++;
    const after = `${reason}, after ${tries} ${tries === 1 ? "try" : "tries"}`;
    if (this.#lost < mostLost) return { kind: "none", reason: after, cause: "unreachable" };
    throw new EndpointError(
      `${this.#origin} left ${this.#lost} questions in a row without an answer: ${after}. The same command goes on from here`,
    );
  }

  async #send(question: Question<unknown>, messages: readonly Message[], form: Form): Promise<Sent> {
    const { endpoint, signal, spend, timeoutMs, seed = 0, isPrivate = false, finishesRequests } = this.#options;
    const shaped = withShape(messages, question.schema, form.format);
    const outputTokens = question.maxOutputTokens + form.thinkingTokens;
    const inputTokens = bytesOf(messages.map(({ content }) => content)) + overheadTokens;
    const reservation = spend.reserve({ inputTokens, outputTokens });
    try {
      const body = {
        model: endpoint.model,
        messages: shaped,
        stream: false,
        [form.boundName]: outputTokens,
        ...(form.sendsTemperature ? { temperature: 0, seed } : {}),
        ...(form.effort === "low" ? { reasoning_effort: "low" as const } : {}),
        ...formatField(form.format, question),
      } satisfies OpenAI.ChatCompletionCreateParamsNonStreaming;
      const stops = signal === undefined || finishesRequests === true ? {} : { signal };
      const reply: unknown = await this.#client.chat.completions.create(body, stops);
      this.#answered = true;
      return settled(readReply(typeof reply === "string" ? reply : ""), reservation, isPrivate);
    } catch (error) {
      // The server may have worked on a request that timed out, and charged for it.
      const used = error instanceof APIConnectionTimeoutError ? reservation.most : nothing;
      reservation.settle(used);
      signal?.throwIfAborted();
      const cause = causeOf(error);
      if (cause instanceof StatusError) {
        this.#answered = true;
        const other = cause.status === 400 || cause.status === 422 ? weakerForm(form, cause) : undefined;
        if (other !== undefined) return { kind: "otherForm", form: other, used };
      }
      const { baseUrl, model, apiKey } = endpoint;
      const path = `${new URL(baseUrl).pathname.replace(/\/$/, "")}/chat/completions`;
      const server = { origin: this.#origin, path, model, apiKey };
      const asked = { ...server, timeoutMs, answered: this.#answered, quotes: !isPrivate };
      return { kind: "refused", refusal: refusalOf(error, asked), used };
    }
  }
}

/** Increment when the meaning of a question changes. */
const promptFormat = 1;
/** Allowance for roles and the answer's schema. */
const overheadTokens = 1200;
/** Extra tokens for a model that thinks, once an answer was cut. */
const roomToThink = 4000;
/** Number of consecutive questions without an answer after which no more are asked. */
const mostLost = 5;

interface Completion extends Usage {
  readonly text: string;
  readonly source: AnswerSource;
}

type Unanswered = Extract<Asked<unknown>, { kind: "none" }>;
type Completed = { readonly kind: "answer"; readonly value: Completion } | Unanswered;
type Accepted<T> = Completion & { readonly kind: "answer"; readonly value: T };

/** Whether asking the same question again would lead to the same. */
const isFinal: Readonly<Record<NoAnswer, boolean>> = {
  refused: true,
  unusable: true,
  rejected: false,
  unreachable: false,
};

type Answer = Extract<Reply, { kind: "answer" }>;

type Sent = { readonly used: Usage } & (
  | Answer
  | { readonly kind: "none"; readonly reason: string }
  | { readonly kind: "otherForm"; readonly form: Form }
  | { readonly kind: "refused"; readonly refusal: Refusal }
);

/** Settles a reply's cost: the server's usage, the most if it gives none, nothing for an error behind the server. */
function settled(reply: Reply, reservation: Reservation, isPrivate: boolean): Sent {
  const used =
    reply.kind === "unfit" ? (reply.isError ? nothing : reservation.most) : (reply.usage ?? reservation.most);
  reservation.settle(used);
  if (reply.kind !== "unfit") return { ...reply, used };
  const { isError } = reply;
  const withoutWords = isError ? "it answered with an error" : "its reply is no chat completion";
  const refusal = { reason: isPrivate ? withoutWords : reply.reason, mayPass: true, retryAfterMs: null };
  return { kind: "refused", refusal: isError ? refusal : { ...refusal, mostTries: 2 }, used };
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
}

/**
 * Headers of a request. Drops those that the library adds, and those of the environment (OPENAI_CUSTOM_HEADERS),
 * which are meant for another server.
 */
function headersFor({ apiKey }: Pick<Endpoint, "apiKey">, made: Headers): Headers {
  const kept = ["accept", "content-type"].flatMap((name): [string, string][] => {
    const value = made.get(name);
    return value === null ? [] : [[name, value]];
  });
  return new Headers(apiKey === "" ? kept : [...kept, ["authorization", `Bearer ${apiKey}`]]);
}
