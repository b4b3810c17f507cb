/** Sampling completions: batched, each of its own length. */
import type { Random } from "../common/random.ts";
import type { Generator } from "../models/generate.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Completion } from "../rewards/reward.ts";
import type { Episode } from "./completion-batch.ts";
import { type Prompt, uniformIn } from "./prompts.ts";
import type { SamplingConfig } from "./sampling-config.ts";

/** What gives continuations; a `Generator`, as a rule. */
export type Sampler = Pick<Generator, "generate" | "dispose">;

export type RolloutOptions = Pick<SamplingConfig, "newTokens" | "temperature">;

/** A completion as it was sampled, and its text. */
export interface Rollout extends Episode {
  readonly promptText: string;
  /** Without an end-of-text token. */
  readonly text: string;
  readonly ended: boolean;
}

/** The length of every prompt's completion, drawn from `newTokens`. */
export function drawLengths(
  prompts: readonly Prompt[],
  { newTokens }: Pick<SamplingConfig, "newTokens">,
  random: Random,
): number[] {
  return prompts.map(() => uniformIn(newTokens, random));
}

/**
 * Samples a completion for every prompt, with its length drawn from `newTokens` unless `lengths` has it. A completion that ends early is just that:
 * the end-of-text token is its last token, and nothing of the prompt enters it (the published code cut `gen_len` tokens off
 * the end of prompt and completion together).
 */
export async function sampleRollouts(
  sampler: Sampler,
  prompts: readonly Prompt[],
  decode: (ids: Int32Array) => string,
  options: RolloutOptions,
  random: Random,
  lengths: readonly number[] = drawLengths(prompts, options, random),
): Promise<Rollout[]> {
  const continuations = await sampler.generate(
    prompts.map(({ ids }) => ids),
    { temperature: options.temperature, topK: 0, topP: 1, minNewTokens: 0, maxNewTokens: Math.max(...lengths) },
    random,
  );
  return continuations.map(({ ids, endId }, row) => {
    const length = lengths[row] ?? 0;
    const kept = ids.subarray(0, length);
    const ended = endId !== undefined && kept.length < length;
    const prompt = prompts[row];
    return {
      prompt: prompt?.ids ?? new Int32Array(),
      promptText: prompt?.text ?? "",
      completion: ended ? Int32Array.of(...kept, endId) : kept,
      text: decode(kept),
      ended,
    };
  });
}

/** What a reward is asked of rollouts. */
export function completionsOf(rollouts: readonly Rollout[]): Completion[] {
  return rollouts.map(({ promptText, text }) => ({ prompt: promptText, completion: text }));
}

/** Ids to text, without special tokens. */
export function decodeText(tokenizer: Pick<Tokenizer, "decode">): (ids: Int32Array) => string {
  return (ids) => tokenizer.decode(ids, { skipSpecialTokens: true });
}
