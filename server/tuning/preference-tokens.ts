/** Preference pairs as tuning learns from them: their tokens by TRL's rules, and why some are left out. */

import type { Tokenizer } from "../models/tokenizer.ts";
import {
  type AnswerRule,
  type AnswerTokens,
  answerLosses,
  answerTokens,
  endOfText,
} from "../tasks/pairs/answer-tokens.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import { PairTokensError } from "./dpo-errors.ts";
import type { PairTokensConfig } from "./pair-tokens-config.ts";
import type { TokenizedAnswer, TokenPair } from "./token-pair.ts";

/** A pair's texts; plain ones where no form is said. */
export type PreferencePair = Omit<PairTexts, "form" | "promptAlone"> & {
  readonly form?: PairTexts["form"];
  readonly promptAlone?: string | undefined;
};

/** Reasons why nothing can be learned from a pair. */
export type PairLoss = keyof typeof pairLosses;

/** The reasons in words, for counts of pairs that were left out. */
export const pairLosses = { ...answerLosses, equal: "both answers have the same tokens" } as const;

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
  const { promptAlone, ...texts } = pair;
  const whole = { form: "texts", ...texts, ...(promptAlone !== undefined && { promptAlone }) } as const;
  const rule = answerRuleOf(config, tokenizer);
  if (rule.kind === "trl-1" && rule.end === "" && whole.form !== "template") throw new PairTokensError("eos_token");
  const found = answerTokens(whole, tokenizer, rule);
  if (found.kind === "lost") return { kind: "lost", reason: found.reason };
  const { unshared } = found;
  const [chosen, rejected] = [partsOf(found.chosen), partsOf(found.rejected)];
  if (isEqual(chosen.prompt, rejected.prompt) && isEqual(chosen.answer, rejected.answer))
    return { kind: "lost", reason: "equal" };
  const cut = {
    prompt: found.chosen.isPromptCut || found.rejected.isPromptCut,
    chosen: found.chosen.isCut,
    rejected: found.rejected.isCut,
  };
  const cuts = (["prompt", "chosen", "rejected"] as const).filter((part) => cut[part]);
  return { kind: "pair", pair: { chosen, rejected }, cut: cuts, unshared };
}

/**
 * The rule by which pairs become tokens. Throws `PairTokensError` if the tokenizer lacks a token that is added to every
 * pair, those of chat templates too.
 */
export function answerRuleOf(config: PairTokensConfig, tokenizer: PairTokenizer): AnswerRule {
  return byRule(config, tokenizer);
}

type Rules = {
  readonly [K in PairTokensConfig["rule"]]: (
    config: Extract<PairTokensConfig, { readonly rule: K }>,
    tokenizer: PairTokenizer,
  ) => AnswerRule;
};

const rules: Rules = {
  "trl-1": ({ rule, maxTokens }, tokenizer) => ({
    kind: rule,
    before: "tokenizer",
    end: endOfText(tokenizer),
    maxTokens,
  }),
  "trl-0.7.7": ({ rule, ...lengths }, tokenizer) => ({
    kind: rule,
    bosId: idOf(tokenizer, "bosId"),
    eosId: idOf(tokenizer, "eosId"),
    ...lengths,
  }),
};

function byRule<K extends PairTokensConfig["rule"]>(
  config: Extract<PairTokensConfig, { readonly rule: K }>,
  tokenizer: PairTokenizer,
): AnswerRule {
  const rule: Rules[K] = rules[config.rule as K];
  return rule(config, tokenizer);
}

function partsOf({ ids, first }: AnswerTokens): TokenizedAnswer {
  return { prompt: ids.subarray(0, first), answer: ids.subarray(first) };
}

function idOf(tokenizer: PairTokenizer, name: "bosId" | "eosId"): number {
  const id = tokenizer[name];
  if (id === undefined) throw new PairTokensError(name === "bosId" ? "bos_token" : "eos_token");
  return id;
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}
