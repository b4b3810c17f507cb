/**
 * The tokens of two answers to a prompt, as preference tuning has them: a model reads the prompt followed by an answer,
 * and the answer begins where the tokens of both answers' texts part from the prompt's.
 */
import type { Encoding, Tokenizer, TokenRange } from "../models/tokenizer.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import type { Side } from "./sides.ts";

/** How a pair's texts become tokens. */
export interface AnswerRule {
  /** Token ids before every prompt. */
  readonly prefixIds: readonly number[];
  /** Whether the end-of-text token ends an answer; a chat template ends its answers itself. */
  readonly ends: boolean;
  /** Maximum number of tokens of a prompt with its answer, prefix included; what exceeds it is cut at the answer's end. */
  readonly maxTokens: number;
  /**
   * What is kept of the prompt and its prefix in a pair that exceeds `maxTokens`: the last tokens. Null: a prompt is
   * never cut, and a pair whose prompt alone is as long as the limit is not read.
   */
  readonly maxPromptTokens: number | null;
}

/** One answer with what stands before it. */
export interface AnswerTokens {
  /** Prefix, prompt, answer. */
  readonly ids: Int32Array;
  /** Row of the first of the answer's ids. */
  readonly first: number;
  /** Range in the answer's text of each of its ids; empty for those that have no place there. */
  readonly ranges: readonly TokenRange[];
  /** Whether the answer's end was cut off. */
  readonly isCut: boolean;
}

export type PairAnswerTokens =
  | { readonly kind: "tokens"; readonly chosen: AnswerTokens; readonly rejected: AnswerTokens }
  | { readonly kind: "refused"; readonly why: string };

/**
 * Tokenises a pair. By the rule of TRL 1.x where `maxPromptTokens` is null, and otherwise by that of TRL 0.7.7. Throws
 * what `Tokenizer.encode` throws.
 */
export function answerTokens(texts: PairTexts, tokenizer: Tokenizer, rule: AnswerRule): PairAnswerTokens {
  const options = { addSpecialTokens: false, parseSpecialTokens: true };
  const encode = (text: string): Encoding => tokenizer.encode(text, options);
  const own = encode(texts.promptAlone ?? texts.prompt).ids;
  const end = endText(texts, tokenizer, rule);
  const wholeOf = (side: Side): Encoding => encode(texts.prompt + ended(texts[side], end, rule));
  const whole = { chosen: wholeOf("chosen"), rejected: wholeOf("rejected") };
  const starts = answerStarts(own, { chosen: whole.chosen.ids, rejected: whole.rejected.ids }, rule);
  if (starts === undefined) return refused("the tokens of prompt and answer together are fewer than the prompt's");
  const lengthOf = (side: Side): number => whole[side].ids.length - starts[side];
  const longest = Math.max(lengthOf("chosen"), lengthOf("rejected"));
  const prefixIds = isFramed(texts, rule) ? [] : rule.prefixIds;
  const answerOf = (side: Side): AnswerTokens | undefined => {
    const { ids, ranges } = whole[side];
    const before = [...prefixIds, ...ids.subarray(0, starts[side])];
    const cut = cutOf(rule, before.length, longest);
    if (cut === undefined) return undefined;
    const to = Math.min(ids.length, starts[side] + cut.answer);
    const [from, length] = [texts.prompt.length, texts[side].length];
    const within = (offset: number): number => Math.min(length, Math.max(0, offset - from));
    return {
      ids: Int32Array.from([...before.slice(before.length - cut.before), ...ids.subarray(starts[side], to)]),
      first: cut.before,
      ranges: ranges.slice(starts[side], to).map((range) => ({ start: within(range.start), end: within(range.end) })),
      isCut: to < ids.length,
    };
  };
  const [chosen, rejected] = [answerOf("chosen"), answerOf("rejected")];
  if (chosen === undefined || rejected === undefined)
    return refused(
      `its prompt has ${prefixIds.length + starts.chosen} tokens, and ${rule.maxTokens} are read of a prompt with its answer`,
    );
  const isScored = ({ ids, first }: AnswerTokens): boolean => ids.length > first && ids.length > 1;
  if (!isScored(chosen) || !isScored(rejected)) return refused("an answer has no token that something stands before");
  return { kind: "tokens", chosen, rejected };
}

type BySide<T> = Readonly<Record<Side, T>>;

/** Where the answers begin among the tokens of prompt and answer; undefined where that cannot be said. */
function answerStarts(
  own: Int32Array,
  whole: BySide<Int32Array>,
  { maxPromptTokens }: AnswerRule,
): BySide<number> | undefined {
  const shared = { chosen: sharedStart(own, whole.chosen), rejected: sharedStart(own, whole.rejected) };
  if (maxPromptTokens === null) {
    const start = Math.min(shared.chosen, shared.rejected);
    return { chosen: start, rejected: start };
  }
  if (Math.min(whole.chosen.length, whole.rejected.length) < own.length) return undefined;
  // A token that merges across the border belongs to the answer.
  const startOf = (side: Side): number => own.length - Number(shared[side] < own.length);
  return { chosen: startOf("chosen"), rejected: startOf("rejected") };
}

/** An answer with what ends it; TRL 1.x leaves an end that is there already alone. */
function ended(answer: string, end: string, { maxPromptTokens }: AnswerRule): string {
  return maxPromptTokens === null && answer.endsWith(end) ? answer : answer + end;
}

function refused(why: string): PairAnswerTokens {
  return { kind: "refused", why };
}

/** Whether the texts have their begin and end already, as a chat template wrote them. TRL 0.7.7 knows no templates. */
function isFramed({ form }: PairTexts, { maxPromptTokens }: AnswerRule): boolean {
  return form === "template" && maxPromptTokens === null;
}

/** What ends an answer's text; empty where nothing does. */
function endText(texts: PairTexts, tokenizer: Tokenizer, rule: AnswerRule): string {
  return rule.ends && !isFramed(texts, rule) && tokenizer.eosId !== undefined
    ? tokenizer.decode([tokenizer.eosId])
    : "";
}

/** Numbers of tokens that are kept of what stands before an answer of `longest` tokens, and of the answer. */
function cutOf(
  { maxTokens, maxPromptTokens }: AnswerRule,
  before: number,
  longest: number,
): { readonly before: number; readonly answer: number } | undefined {
  if (maxPromptTokens === null) return before >= maxTokens ? undefined : { before, answer: maxTokens - before };
  if (before + longest <= maxTokens) return { before, answer: longest };
  const kept = Math.min(before, maxPromptTokens);
  return { before: kept, answer: kept + longest <= maxTokens ? longest : maxTokens - maxPromptTokens };
}

/** Length of the longest common beginning of two sequences of ids. */
function sharedStart(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at += 1;
  return at;
}
