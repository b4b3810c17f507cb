/** Prompts: the beginnings of texts. Which texts, how many tokens of each, and in which order, is decided by the seed alone. */
import { invariant } from "../common/errors.ts";
import { Random, type RandomState } from "../common/random.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { PpoModelError, TooFewPromptsError } from "./ppo-errors.ts";
import type { SamplingConfig, TextConfig, TokenRange } from "./sampling-config.ts";

/** The beginning of a text. */
export interface Prompt {
  /** As the model reads it, with the beginning-of-text token if there is one. */
  readonly ids: Int32Array;
  /** What the ids say, without special tokens. */
  readonly text: string;
  /** Place of the text among those given. */
  readonly textIndex: number;
}

export interface PromptOptions extends Pick<SamplingConfig, "promptTokens" | "minTextCharacters">, TextConfig {
  /** The model's beginning-of-text token; needed for `prependBos`. */
  readonly bosId: number | undefined;
}

/**
 * The first n tokens of every text that is long enough, with n uniform over `promptTokens` and drawn once for each, as the
 * paper's code does. A text of fewer tokens is taken whole; one without any gives no prompt. Throws `PpoModelError` when a
 * missing BOS token is asked for.
 */
export function makePrompts(
  texts: readonly string[],
  tokenizer: Pick<Tokenizer, "encode" | "decode">,
  options: PromptOptions,
  random: Random,
): Prompt[] {
  const { promptTokens, minTextCharacters, prependBos, bosId } = options;
  if (prependBos && bosId === undefined)
    throw new PpoModelError(
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

/** An integer of the range, each equally likely. */
export function uniformIn({ min, max }: TokenRange, random: Random): number {
  return min + random.integer(max - min + 1);
}

/**
 * Batches of prompts without end: every epoch goes through all prompts in an order of its own and drops what does not fill a
 * batch. Batch number k is a function of the seed and k, so there is nothing to save but k.
 */
export class PromptBatches {
  readonly #prompts: readonly Prompt[];
  readonly #batchSize: number;
  readonly #seed: RandomState;
  #epoch = -1;
  #order: readonly Prompt[] = [];

  /** Throws `TooFewPromptsError`. */
  constructor(prompts: readonly Prompt[], batchSize: number, seed: RandomState) {
    if (prompts.length < batchSize) throw new TooFewPromptsError(prompts.length, batchSize);
    this.#prompts = prompts;
    this.#batchSize = batchSize;
    this.#seed = seed;
  }

  /** The same prompts in the order of another seed. */
  withSeed(seed: RandomState): PromptBatches {
    return new PromptBatches(this.#prompts, this.#batchSize, seed);
  }

  batch(number: number): readonly Prompt[] {
    const perEpoch = Math.floor(this.#prompts.length / this.#batchSize);
    const epoch = Math.floor(number / perEpoch);
    if (epoch !== this.#epoch) {
      this.#order = Random.fromState(this.#seed).fork(`prompts of epoch ${epoch}`).shuffled(this.#prompts);
      this.#epoch = epoch;
    }
    const start = (number % perEpoch) * this.#batchSize;
    const batch = this.#order.slice(start, start + this.#batchSize);
    invariant(batch.length === this.#batchSize, `batch ${number} of an epoch of ${perEpoch} is short`);
    return batch;
  }
}

/**
 * Only as much of the text is encoded as surely holds n tokens: it is cut before a space, and the tokens near the cut, which
 * the rest of the text could change, are not used.
 */
function firstTokens(text: string, n: number, tokenizer: Pick<Tokenizer, "encode">): number[] {
  const cut = text.indexOf(" ", charactersPerToken * n);
  const encode = (part: string): Int32Array => tokenizer.encode(part, { addSpecialTokens: false }).ids;
  const beginning = cut < 0 ? undefined : encode(text.slice(0, cut));
  const ids = beginning !== undefined && beginning.length >= n + tokensNearCut ? beginning : encode(text);
  return [...ids.subarray(0, n)];
}

/** Many more than a token of prose has. */
const charactersPerToken = 32;
const tokensNearCut = 8;
