/** How preference pairs are read. */
import type { AnswerRule } from "../tasks/pairs/answer-tokens.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";

export interface PreferenceReader {
  readonly rule: AnswerRule;
  /** Writes messages as the model reads them; undefined for a model without a chat template. */
  readonly template: MessageWriter | undefined;
}

/** TRL's default for a prompt with its answer. */
const TRL_MAX_TOKENS = 1024;

export interface ReaderOptions {
  readonly prefixIds: readonly number[];
  readonly contextLength: number;
  /** The text of the token that ends an answer; empty: none does. */
  readonly end: string;
  readonly template?: PreferenceReader["template"];
}

/**
 * For models of whose tuning nothing more is known: reads pairs as TRL 1.x prepares them, as far as the model's context
 * goes.
 */
export function preferenceReader({ prefixIds, contextLength, end, template }: ReaderOptions): PreferenceReader {
  const maxTokens = Math.min(TRL_MAX_TOKENS, contextLength);
  return { rule: { kind: "trl-1", before: prefixIds, end, maxTokens }, template };
}
