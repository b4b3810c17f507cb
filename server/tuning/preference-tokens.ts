/**
 * Preference pairs as token ids, by the rules of two versions of TRL.
 *
 * - `trl-1`, as in 1.16 (trl/trainer/dpo_trainer.py, _prepare_dataset): appends the end-of-text token as text,
 *   starts an answer where the tokens of prompt and prompt + answer diverge, and cuts the end of what is longer than
 *   `maxTokens`.
 * - `trl-0.7.7`, as in the paper's code: always adds the ids of begin and end of text; cuts a prompt at its
 *   beginning and an answer at its end. It knows no chat templates: what one wrote is text like any other.
 *
 * What a chat template wrote has its begin and end of text already: `trl-1` adds neither.
 */
import type { Tokenizer } from "../models/tokenizer.ts";
import { PairTokensError } from "./dpo-errors.ts";
import type { TokenizedAnswer, TokenPair } from "./pair-batch.ts";
import type { PairTokensConfig } from "./pair-tokens-config.ts";

export interface PreferencePair {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  /** How the texts came about (`PairForm`); plain texts if undefined. */
  readonly form?: "texts" | "template" | "plain";
  /** The prompt as a template writes it alone, where prompt and answer together do not begin with it. */
  readonly promptAlone?: string | undefined;
}

/** Reasons why nothing can be learned from a pair. */
export type PairLoss = keyof typeof pairLosses;

/** The reasons in words, for counts of pairs that were left out. */
export const pairLosses = {
  longPrompt: "the prompt alone is as long as the limit",
  noTokens: "an answer has no token that something stands before",
  merged: "the tokens of prompt and answer together do not begin with those of the prompt",
  equal: "both answers have the same tokens",
} as const;

/** Result for a pair: its tokens and what was cut, or the reason for leaving it out. */
export type PairTokens =
  | {
      readonly kind: "pair";
      readonly pair: TokenPair;
      readonly cut: readonly ("prompt" | "chosen" | "rejected")[];
      /** Tokens at the end of the prompt alone with which prompt and answer together do not go on: TRL warns of them. */
      readonly unshared: readonly number[];
    }
  | { readonly kind: "lost"; readonly reason: PairLoss };

export type PairTokenizer = Pick<Tokenizer, "encode" | "decode" | "bosId" | "eosId">;

/** Tokenises a pair. Throws `PairTokensError` if the tokenizer lacks a token that the rule adds. */
export function pairTokens(pair: PreferencePair, tokenizer: PairTokenizer, config: PairTokensConfig): PairTokens {
  const made = byRule(pair, tokenizer, config);
  if (made.kind === "lost") return made;
  const { chosen, rejected } = made.pair;
  const isScored = ({ prompt, answer }: TokenizedAnswer): boolean =>
    prompt.length + answer.length > 1 && answer.length > 0;
  if (!isScored(chosen) || !isScored(rejected)) return lost("noTokens");
  return isEqual(chosen.prompt, rejected.prompt) && isEqual(chosen.answer, rejected.answer) ? lost("equal") : made;
}

type Rules = {
  readonly [K in PairTokensConfig["rule"]]: (
    pair: PreferencePair,
    tokenizer: PairTokenizer,
    config: Extract<PairTokensConfig, { rule: K }>,
  ) => PairTokens;
};

const rules: Rules = {
  "trl-1": (pair, tokenizer, { maxTokens }) => {
    const { prompt, ids } = pair.form === "template" ? templated(pair, tokenizer) : ended(pair, tokenizer);
    const start = Math.min(sharedStart(prompt, ids.chosen), sharedStart(prompt, ids.rejected));
    if (start >= maxTokens) return lost("longPrompt");
    const answerOf = (whole: Int32Array): TokenizedAnswer => ({
      prompt: whole.subarray(0, start),
      answer: whole.subarray(start, maxTokens),
    });
    const cut = (["chosen", "rejected"] as const).filter((name) => ids[name].length > maxTokens);
    const made = { chosen: answerOf(ids.chosen), rejected: answerOf(ids.rejected) };
    return { kind: "pair", pair: made, cut, unshared: [...prompt.subarray(start)] };
  },
  "trl-0.7.7": (pair, tokenizer, { maxTokens, maxPromptTokens }) => {
    const parts = {
      chosen: joined(pair.prompt, pair.chosen, tokenizer),
      rejected: joined(pair.prompt, pair.rejected, tokenizer),
    };
    if (parts.chosen === undefined || parts.rejected === undefined) return lost("merged");
    const longest = Math.max(parts.chosen.answer.length, parts.rejected.answer.length);
    const cut = new Set<"prompt" | "chosen" | "rejected">();
    const fitted = (name: "chosen" | "rejected", { prompt, answer }: TokenizedAnswer): TokenizedAnswer => {
      if (prompt.length + longest <= maxTokens) return { prompt, answer };
      if (prompt.length > maxPromptTokens) cut.add("prompt");
      const kept = prompt.subarray(Math.max(0, prompt.length - maxPromptTokens));
      if (kept.length + longest <= maxTokens) return { prompt: kept, answer };
      if (answer.length > maxTokens - maxPromptTokens) cut.add(name);
      return { prompt: kept, answer: answer.subarray(0, maxTokens - maxPromptTokens) };
    };
    const made = { chosen: fitted("chosen", parts.chosen), rejected: fitted("rejected", parts.rejected) };
    return { kind: "pair", pair: made, cut: [...cut], unshared: [] };
  },
};

function byRule<K extends PairTokensConfig["rule"]>(
  pair: PreferencePair,
  tokenizer: PairTokenizer,
  config: Extract<PairTokensConfig, { rule: K }>,
): PairTokens {
  const rule: Rules[K] = rules[config.rule as K];
  return rule(pair, tokenizer, config);
}

/** The ids of a prompt alone and of prompt and answer together. */
interface WholeIds {
  readonly prompt: Int32Array;
  readonly ids: { readonly chosen: Int32Array; readonly rejected: Int32Array };
}

function wholeIds(pair: PreferencePair, encode: (text: string) => Int32Array, end = ""): WholeIds {
  const ended = (answer: string): string => (answer.endsWith(end) ? answer : answer + end);
  return {
    prompt: encode(pair.promptAlone ?? pair.prompt),
    ids: {
      chosen: encode(pair.prompt + ended(pair.chosen)),
      rejected: encode(pair.prompt + ended(pair.rejected)),
    },
  };
}

/** With what the tokenizer adds, and the end of text after the answers. */
function ended(pair: PreferencePair, tokenizer: PairTokenizer): WholeIds {
  const end = tokenizer.decode([idOf(tokenizer, "eosId")]);
  return wholeIds(pair, (text) => tokenizer.encode(text, { parseSpecialTokens: true }).ids, end);
}

/** As the template wrote it. */
function templated(pair: PreferencePair, tokenizer: PairTokenizer): WholeIds {
  return wholeIds(pair, (text) => tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true }).ids);
}

/** Both encoded together, without what the tokenizer adds, with ids of begin and end around; undefined where the prompt's tokens are more. */
function joined(prompt: string, answer: string, tokenizer: PairTokenizer): TokenizedAnswer | undefined {
  const encode = (text: string): Int32Array =>
    tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true }).ids;
  const [own, whole] = [encode(prompt), encode(prompt + answer)];
  if (whole.length < own.length) return undefined;
  // A token that merges across the border belongs to the answer, including its part of the prompt.
  const start = own.length - Number(sharedStart(own, whole) < own.length);
  return {
    prompt: Int32Array.from([idOf(tokenizer, "bosId"), ...whole.subarray(0, start)]),
    answer: Int32Array.from([...whole.subarray(start), idOf(tokenizer, "eosId")]),
  };
}

function idOf(tokenizer: PairTokenizer, name: "bosId" | "eosId"): number {
  const id = tokenizer[name];
  if (id === undefined) throw new PairTokensError(name === "bosId" ? "bos_token" : "eos_token");
  return id;
}

/** Length of the longest common prefix of two sequences of ids. */
function sharedStart(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at += 1;
  return at;
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && sharedStart(a, b) === a.length;
}

function lost(reason: PairLoss): PairTokens {
  return { kind: "lost", reason };
}
