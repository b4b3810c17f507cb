/**
 * Prompts: the beginnings of texts. The seed alone decides which texts, how many tokens of each, and in which order.
 */
import type { Random, RandomState } from "../common/random.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { EpochBatches } from "./epoch-batches.ts";
import { TooFewPromptsError } from "./ppo-errors.ts";
import type { SamplingConfig, TextConfig, TokenRange } from "./sampling-config.ts";
import { TuningModelError } from "./tuning-errors.ts";

/** The beginning of a text. */
export interface Prompt {
  /** Ids that the model reads, including the beginning-of-text token if there is one. */
  readonly ids: Int32Array;
  /** The ids decoded, without special tokens. */
  readonly text: string;
  /** Index of the text among the given ones. */
  readonly textIndex: number;
}

export interface PromptOptions extends Pick<SamplingConfig, "promptTokens" | "minTextCharacters">, TextConfig {
  /** The model's beginning-of-text token; needed for `prependBos`. */
  readonly bosId: number | undefined;
}

/**
 * Makes a prompt of each text: its first n tokens, with n uniform over `promptTokens` and drawn once a text, as in
 * the paper's code. A text of fewer tokens is taken whole; an empty one gives no prompt. Throws `TuningModelError` if
 * `prependBos` needs a BOS token that is missing.
 */
export function makePrompts(
  texts: readonly string[],
  tokenizer: Pick<Tokenizer, "encode" | "decode">,
  options: PromptOptions,
  random: Random,
): Prompt[] {
  const { promptTokens, minTextCharacters, prependBos, bosId } = options;
  if (prependBos && bosId === undefined)
    throw new TuningModelError(
      "text.prependBos is set, but the model's config.json names no bos_token_id: set it to false",
    );
  const start = prependBos && bosId !== undefined ? [bosId] : [];
  const prompts: Prompt[] = [];
  for (const [textIndex, text] of texts.entries()) {
    if (text.length <= minTextCharacters) continue;
    const own = firstTokens(text, uniformIn(promptTokens, random), tokenizer);
    if (own.length === 0) continue;
    prompts.push({ ids: Int32Array.from([...start, ...own]), text: tokenizer.decode(own), textIndex });
  }
  return prompts;
}

/** An integer of the range, uniformly drawn. */
export function uniformIn({ min, max }: TokenRange, random: Random): number {
  return min + random.integer(max - min + 1);
}

/** Batches of prompts, each epoch in an order of its own. Throws `TooFewPromptsError`. */
export function promptBatches(prompts: readonly Prompt[], batchSize: number, seed: RandomState): EpochBatches<Prompt> {
  if (prompts.length < batchSize) throw new TooFewPromptsError(prompts.length, batchSize);
  return new EpochBatches(prompts, { batchSize, seed, name: "prompts" });
}

/**
 * Encodes only as much of the text as surely contains n tokens: cuts it before a space, and discards the tokens near
 * the cut, which the rest of the text could change.
 */
function firstTokens(text: string, n: number, tokenizer: Pick<Tokenizer, "encode">): number[] {
  const cut = text.indexOf(" ", charactersPerToken * n);
  const encode = (part: string): Int32Array => tokenizer.encode(part, { addSpecialTokens: false }).ids;
  const beginning = cut < 0 ? undefined : encode(text.slice(0, cut));
  const ids = beginning !== undefined && beginning.length >= n + tokensNearCut ? beginning : encode(text);
  return [...ids.subarray(0, n)];
}

/** Far above the mean number of characters of a token of prose. */
const charactersPerToken = 32;
const tokensNearCut = 8;
