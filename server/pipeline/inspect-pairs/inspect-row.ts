/** What becomes of one row of preference data: its split, its tokens by TRL's rules, what is cut and what the loss counts. */
import { ChatMessagesError, type ChatTemplate } from "../../models/chat-template.ts";
import { type Tokenizer, UnreadableTextError } from "../../models/tokenizer.ts";
import { type PairForm, pairTextsOf } from "../../tasks/pairs/pair-texts.ts";
import {
  type PreferenceFault,
  type PreferenceRule,
  preferenceFaults,
  preferenceOf,
} from "../../tasks/pairs/preference-rows.ts";
import type { PairTokensConfig } from "../../tuning/pair-tokens-config.ts";
import { type PairLoss, type PreferencePair, pairLosses, pairTokens } from "../../tuning/preference-tokens.ts";
import type { TokenizedAnswer } from "../../tuning/token-pair.ts";

/** What a model reads texts with. */
export interface PairReader {
  readonly tokenizer: Tokenizer;
  /** Undefined where the model has none. */
  readonly template: ChatTemplate | undefined;
}

/** A token, with what it is for. */
export interface InspectedToken {
  readonly id: number;
  /** The token on one line with everything visible. */
  readonly piece: string;
  /** Parts that were cut are not in what the model reads. */
  readonly part: "cut prompt" | "prompt" | "answer" | "cut answer";
  /** Whether the loss counts it: tokens of the answer that something stands before. */
  readonly counts: boolean;
  readonly special: "begin of text" | "end of text" | null;
}

/** Why a row gives no tokens. */
export type RowLoss =
  | { readonly kind: "fault"; readonly reason: PreferenceFault; readonly said: string }
  | { readonly kind: "refused" | "unreadable"; readonly said: string }
  | { readonly kind: "lost"; readonly reason: PairLoss; readonly said: string };

interface Split {
  readonly rule: PreferenceRule;
  readonly form: PairForm;
}

/** A row as it is learned from: rows count from 0. */
export type InspectedRow =
  | { readonly row: number; readonly kind: "none"; readonly split: Split | null; readonly loss: RowLoss }
  | {
      readonly row: number;
      readonly kind: "pair";
      readonly split: Split;
      readonly chosen: readonly InspectedToken[];
      readonly rejected: readonly InspectedToken[];
      /** Tokens that end the prompt alone, and that prompt and answer together do not go on with. */
      readonly unshared: readonly InspectedToken[];
    };

/**
 * Inspects a row. Throws for a template or tokenizer that fails whatever the row: `ChatTemplateSyntaxError`,
 * `ChatTemplateLimitError`, `PairTokensError`.
 */
export function inspectRow(row: number, value: unknown, reader: PairReader, tokens: PairTokensConfig): InspectedRow {
  const read = preferenceOf(value);
  const none = (split: Split | null, loss: RowLoss): InspectedRow => ({ row, kind: "none", split, loss });
  if (read.kind === "fault")
    return none(null, { kind: "fault", reason: read.fault, said: preferenceFaults[read.fault] });
  try {
    const texts = pairTextsOf(read.preference, reader.template);
    const split = { rule: read.rule, form: texts.form };
    const made = pairTokens(texts, reader.tokenizer, tokens);
    if (made.kind === "lost") return none(split, { kind: "lost", reason: made.reason, said: pairLosses[made.reason] });
    const whole = uncut(texts, reader.tokenizer, tokens) ?? made.pair;
    const unshared = made.unshared.map((id) =>
      inspected(reader.tokenizer, id, { part: "prompt", counts: false, isFirst: false }),
    );
    return {
      row,
      kind: "pair",
      split,
      chosen: sequenceOf(made.pair.chosen, whole.chosen, reader.tokenizer),
      rejected: sequenceOf(made.pair.rejected, whole.rejected, reader.tokenizer),
      unshared,
    };
  } catch (error) {
    const kind = lossOf(error);
    if (kind === undefined || !(error instanceof Error)) throw error;
    return none(null, { kind, said: error.message });
  }
}

/** The kind of loss for errors that are about one row. */
function lossOf(error: unknown): "refused" | "unreadable" | undefined {
  if (error instanceof UnreadableTextError) return "unreadable";
  return error instanceof ChatMessagesError ? "refused" : undefined;
}

/** The same pair without a limit. */
function uncut(texts: PreferencePair, tokenizer: Tokenizer, tokens: PairTokensConfig) {
  const made = pairTokens(texts, tokenizer, { ...tokens, maxTokens: Number.MAX_SAFE_INTEGER });
  return made.kind === "pair" ? made.pair : undefined;
}

/** What is kept of a prompt is its end, of an answer its beginning. */
function sequenceOf(kept: TokenizedAnswer, whole: TokenizedAnswer, tokenizer: Tokenizer): InspectedToken[] {
  const cutPrompt = whole.prompt.length - kept.prompt.length;
  const answerEnd = whole.prompt.length + kept.answer.length;
  return [...whole.prompt, ...whole.answer].map((id, at) => {
    const isPrompt = at < whole.prompt.length;
    const isCut = at < cutPrompt || at >= answerEnd;
    const part = `${isCut ? "cut " : ""}${isPrompt ? "prompt" : "answer"}` as const;
    return inspected(tokenizer, id, { part, counts: part === "answer" && at > cutPrompt, isFirst: at === 0 });
  });
}

function inspected(
  tokenizer: Tokenizer,
  id: number,
  { isFirst, ...place }: Pick<InspectedToken, "part" | "counts"> & { readonly isFirst: boolean },
): InspectedToken {
  const marks = [
    { special: "end of text", id: tokenizer.eosId },
    { special: "begin of text", id: tokenizer.bosId },
  ] as const;
  // Some models have one token for both, which begins a text where it stands first.
  const found = (isFirst ? marks.toReversed() : marks).find((mark) => mark.id === id);
  return { id, piece: tokenizer.tokenLabel(id), ...place, special: found?.special ?? null };
}
