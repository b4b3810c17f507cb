/** Samples completions in batches, each completion of its own length. */
import type { Random } from "../common/random.ts";
import type { Generator } from "../models/generate.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Completion } from "../rewards/reward.ts";
import type { Episode } from "./completion-batch.ts";
import { type Prompt, uniformIn } from "./prompts.ts";
import type { SamplingConfig } from "./sampling-config.ts";

/** The source of continuations; usually a `Generator`. */
export type Sampler = Pick<Generator, "generate" | "dispose">;

export type RolloutOptions = Pick<SamplingConfig, "newTokens" | "temperature">;

/** A sampled completion and its text. */
export interface Rollout extends Episode {
  readonly promptText: string;
  /** Without an end-of-text token. */
  readonly text: string;
  readonly ended: boolean;
}

/** Draws the length of every prompt's completion from `newTokens`. */
export function drawLengths(
  prompts: readonly Prompt[],
  { newTokens }: Pick<SamplingConfig, "newTokens">,
  random: Random,
): number[] {
  return prompts.map(() => uniformIn(newTokens, random));
}

/**
 * Samples a completion for every prompt, with its length drawn from `newTokens` unless `lengths` has it. A
 * completion may end early: the end-of-text token is then its last one, and it contains nothing of the prompt (the
 * published code cut `gen_len` tokens off the end of prompt and completion together).
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

/** Rollouts as input for a reward. */
export function completionsOf(rollouts: readonly Rollout[]): Completion[] {
  return rollouts.map(({ promptText, text }) => ({ prompt: promptText, completion: text }));
}

/** A decoder of ids to text, without special tokens. */
export function decodeText(tokenizer: Pick<Tokenizer, "decode">): (ids: Int32Array) => string {
  return (ids) => tokenizer.decode(ids, { skipSpecialTokens: true });
}
