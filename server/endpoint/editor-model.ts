/** Asks a language model that the editor reaches: no key, no address, and the editor's own consent and quota. */
import { createHash } from "node:crypto";
import { shapeInWords, understood } from "./answer-shape.ts";
import type { AnswerCache, Asker, Question } from "./chat.ts";
import { EndpointError } from "./errors.ts";
import type { Outcome } from "./outcome.ts";
import { inertLine } from "./plain-text.ts";

export interface ModelMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** A completion, or why there is none; `isFinal`: every other question would be refused too. */
export type Completion =
  | { readonly kind: "answer"; readonly text: string }
  | { readonly kind: "refused"; readonly reason: string; readonly isFinal: boolean };

export interface EditorModelOptions {
  readonly name: string;
  /** Rejects with the signal's reason when it is aborted. */
  readonly complete: (messages: readonly ModelMessage[], signal: AbortSignal | undefined) => Promise<Completion>;
  readonly cache: AnswerCache;
  readonly signal?: AbortSignal;
}

export class EditorModel implements Asker {
  readonly #options: EditorModelOptions;
  /** Number of consecutive questions that were refused. */
  #lost = 0;

  constructor(options: EditorModelOptions) {
    this.#options = options;
  }

  /**
   * Asks a question, once more if the answer does not have the shape that was asked for. Throws `EndpointError` where
   * every other question would fail too.
   */
  async ask<T>(question: Question<T>): Promise<Outcome<T>> {
    const { cache, name } = this.#options;
    const key = createHash("sha256")
      .update(JSON.stringify(["editor", name, question.name, question.system, question.user]))
      .digest("hex");
    const known = cache.get(key);
    const parsed = known === undefined ? undefined : understood(known.answer, question.schema);
    if (parsed?.kind === "answer") return parsed;
    // Editors have no role for the system's words.
    const content = `${question.system}\n\n${shapeInWords(question.schema)}\n\n${question.user}`;
    const messages: ModelMessage[] = [{ role: "user", content }];
    for (let tries = 1; ; tries++) {
      const text = await this.#complete(messages);
      if (typeof text !== "string") return text;
      const found = understood(text, question.schema);
      if (found.kind === "answer") cache.set(key, { answer: text, inputTokens: 0, outputTokens: 0 });
      if (found.kind === "answer" || tries === TRIES) return found;
      messages.push(
        { role: "assistant", content: text.slice(0, 4000) },
        {
          role: "user",
          content: `That is not the JSON that was asked for: ${found.reason}. Answer again, with that JSON and nothing else.`,
        },
      );
    }
  }

  async #complete(messages: readonly ModelMessage[]): Promise<string | Outcome<never>> {
    const { complete, signal, name } = this.#options;
    signal?.throwIfAborted();
    const completed = await complete(messages, signal);
    if (completed.kind === "answer") {
      this.#lost = 0;
      return completed.text;
    }
    signal?.throwIfAborted();
    this.#lost += 1;
    const reason = inertLine(completed.reason, 300);
    if (completed.isFinal) throw new EndpointError(`${name} gives no answers: ${reason}`);
    if (this.#lost >= MOST_LOST)
      throw new EndpointError(`${name} left ${this.#lost} questions in a row without an answer: ${reason}`);
    return { kind: "none", reason };
  }
}

const TRIES = 2;
/** Number of consecutive questions without an answer after which no more are asked. */
const MOST_LOST = 5;
