/**
 * The tokens of two answers to a prompt: which of them are the answer's, and where they stand in its text. By the rules
 * of two versions of TRL:
 *
 * - `trl-1`, as in 1.16 (trl/trainer/dpo_trainer.py, _prepare_dataset): the end-of-text token is appended as text, an
 *   answer starts where the tokens of prompt and prompt + answer diverge, and the end of what is longer than `maxTokens`
 *   is cut. What a chat template wrote has its begin and end of text already.
 * - `trl-0.7.7`, as in the paper's code: the ids of begin and end of text are always added; a prompt is cut at its
 *   beginning and an answer at its end. It knows no chat templates: what one wrote is text like any other.
 */
import type { Encoding, Tokenizer, TokenRange } from "../../models/tokenizer.ts";
import type { PairTexts } from "./pair-texts.ts";

/** How a pair's texts become tokens. */
export type AnswerRule =
  | {
      readonly kind: "trl-1";
      /** What stands before every prompt: these token ids, or what the tokenizer itself adds to a text. */
      readonly before: readonly number[] | "tokenizer";
      /** The text of the token that ends an answer; empty: none does. */
      readonly end: string;
      /** Maximum number of tokens of a prompt with its answer. */
      readonly maxTokens: number;
    }
  | {
      readonly kind: "trl-0.7.7";
      readonly bosId: number;
      readonly eosId: number;
      /** Maximum number of tokens of a prompt with the longer answer. */
      readonly maxTokens: number;
      /** What is kept of the prompt with its begin in a pair that exceeds `maxTokens`: the last tokens. */
      readonly maxPromptTokens: number;
    };

/** One answer with what stands before it. */
export interface AnswerTokens {
  /** Prompt with what stands before it, then answer: at least two ids, one of them the answer's. */
  readonly ids: Int32Array;
  /** Row of the first of the answer's ids. */
  readonly first: number;
  /** Range in the answer's text of each of its ids; empty for those that have no place there. */
  readonly ranges: readonly TokenRange[];
  /** Whether the answer's end was cut off. */
  readonly isCut: boolean;
  /** Whether the prompt's beginning was cut off. */
  readonly isPromptCut: boolean;
}

/** Reasons why the answers of a pair have no tokens to score. */
export type AnswerLoss = keyof typeof answerLosses;

/** The reasons in words. */
export const answerLosses = {
  longPrompt: "the prompt alone is as long as the limit",
  noTokens: "an answer has no token that something stands before",
  merged: "the tokens of prompt and answer together do not begin with those of the prompt",
} as const;

export type PairAnswerTokens =
  | {
      readonly kind: "tokens";
      readonly chosen: AnswerTokens;
      readonly rejected: AnswerTokens;
      /** Tokens at the end of the prompt alone with which prompt and answer together do not go on: TRL warns of them. */
      readonly unshared: readonly number[];
    }
  | {
      readonly kind: "lost";
      readonly reason: AnswerLoss;
      /** Number of tokens of the prompt with what stands before it. */
      readonly promptTokens: number;
    };

/** Tokenises a pair. Throws what `Tokenizer.encode` throws. */
export function answerTokens(
  texts: PairTexts,
  tokenizer: Pick<Tokenizer, "encode">,
  rule: AnswerRule,
): PairAnswerTokens {
  const found = byKind(texts, tokenizer, rule);
  if (found.kind === "lost") return found;
  const isScored = ({ ids, first }: AnswerTokens): boolean => ids.length > first && ids.length > 1;
  return isScored(found.chosen) && isScored(found.rejected) ? found : lost("noTokens", found.chosen.first);
}

/** The text of the end-of-text token; empty for a tokenizer without one. */
export function endOfText(tokenizer: Pick<Tokenizer, "eosId" | "decode">): string {
  return tokenizer.eosId === undefined ? "" : tokenizer.decode([tokenizer.eosId]);
}

type Rules = {
  readonly [K in AnswerRule["kind"]]: (
    texts: PairTexts,
    tokenizer: Pick<Tokenizer, "encode">,
    rule: Extract<AnswerRule, { readonly kind: K }>,
  ) => PairAnswerTokens;
};

const rules: Rules = {
  "trl-1": (texts, tokenizer, { before, end, maxTokens }) => {
    const isFramed = texts.form === "template";
    const options = { addSpecialTokens: before === "tokenizer" && !isFramed, parseSpecialTokens: true };
    const prefix = before === "tokenizer" || isFramed ? [] : before;
    const encode = (text: string): Encoding => tokenizer.encode(text, options);
    const ended = (answer: string): string => (isFramed || answer.endsWith(end) ? answer : answer + end);
    const own = encode(texts.promptAlone ?? texts.prompt).ids;
    const whole = {
      chosen: encode(texts.prompt + ended(texts.chosen)),
      rejected: encode(texts.prompt + ended(texts.rejected)),
    };
    const start = Math.min(sharedStart(own, whole.chosen.ids), sharedStart(own, whole.rejected.ids));
    const first = prefix.length + start;
    if (first >= maxTokens) return lost("longPrompt", first);
    const answerOf = (side: "chosen" | "rejected"): AnswerTokens => {
      const { ids, ranges } = whole[side];
      return {
        ids: Int32Array.from([...prefix, ...ids.subarray(0, maxTokens - prefix.length)]),
        first,
        ranges: rangesIn(texts, side, ranges.slice(start, maxTokens - prefix.length)),
        isCut: prefix.length + ids.length > maxTokens,
        isPromptCut: false,
      };
    };
    return {
      kind: "tokens",
      chosen: answerOf("chosen"),
      rejected: answerOf("rejected"),
      unshared: [...own.subarray(start)],
    };
  },
  "trl-0.7.7": (texts, tokenizer, { bosId, eosId, maxTokens, maxPromptTokens }) => {
    const encode = (text: string): Encoding =>
      tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true });
    const own = encode(texts.prompt).ids;
    const whole = { chosen: encode(texts.prompt + texts.chosen), rejected: encode(texts.prompt + texts.rejected) };
    if (Math.min(whole.chosen.ids.length, whole.rejected.ids.length) < own.length)
      return lost("merged", own.length + 1);
    // A token that merges across the border belongs to the answer, including its part of the prompt.
    const startOf = (side: "chosen" | "rejected"): number =>
      own.length - Number(sharedStart(own, whole[side].ids) < own.length);
    const lengthOf = (side: "chosen" | "rejected"): number => whole[side].ids.length - startOf(side) + 1;
    const longest = Math.max(lengthOf("chosen"), lengthOf("rejected"));
    const answerOf = (side: "chosen" | "rejected"): AnswerTokens => {
      const { ids, ranges } = whole[side];
      const start = startOf(side);
      const before = [bosId, ...ids.subarray(0, start)];
      const kept = before.length + longest <= maxTokens ? before.length : Math.min(before.length, maxPromptTokens);
      const answer = [...ids.subarray(start), eosId];
      const most = kept + longest <= maxTokens ? longest : maxTokens - maxPromptTokens;
      const end = { start: texts.prompt.length + texts[side].length, end: texts.prompt.length + texts[side].length };
      return {
        ids: Int32Array.from([...before.slice(before.length - kept), ...answer.slice(0, most)]),
        first: kept,
        ranges: rangesIn(texts, side, [...ranges.slice(start), end].slice(0, most)),
        isCut: answer.length > most,
        isPromptCut: before.length > kept,
      };
    };
    return { kind: "tokens", chosen: answerOf("chosen"), rejected: answerOf("rejected"), unshared: [] };
  },
};

function byKind<K extends AnswerRule["kind"]>(
  texts: PairTexts,
  tokenizer: Pick<Tokenizer, "encode">,
  rule: Extract<AnswerRule, { readonly kind: K }>,
): PairAnswerTokens {
  const read: Rules[K] = rules[rule.kind as K];
  return read(texts, tokenizer, rule);
}

/** Ranges of prompt and answer together as ranges of the answer. */
function rangesIn(
  { prompt, ...answers }: PairTexts,
  side: "chosen" | "rejected",
  ranges: readonly TokenRange[],
): TokenRange[] {
  const within = (offset: number): number => Math.min(answers[side].length, Math.max(0, offset - prompt.length));
  return ranges.map(({ start, end }) => ({ start: within(start), end: within(end) }));
}

function lost(reason: AnswerLoss, promptTokens: number): PairAnswerTokens {
  return { kind: "lost", reason, promptTokens };
}

/** Length of the longest common beginning of two sequences of ids. */
function sharedStart(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at += 1;
  return at;
}
