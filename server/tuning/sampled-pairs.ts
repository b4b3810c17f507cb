/**
 * Preference pairs from a reward: samples several completions of a prompt from one model, chooses the best and
 * rejects the worst. The preference that a model tuned on them should learn is then known, and no preference data is
 * needed.
 */
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { Generator } from "../models/generate.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { type Reward, scoresOf } from "../rewards/reward.ts";
import type { Prompt } from "./prompts.ts";
import {
  completionsOf,
  decodeText,
  drawLengths,
  type Rollout,
  type RolloutOptions,
  type Sampler,
  sampleRollouts,
} from "./rollout.ts";
import type { TokenPair } from "./token-pair.ts";

export interface PairSampling extends RolloutOptions {
  /** Number of completions of every prompt, at least two. */
  readonly completions: number;
  /** Number of prompts in a batch. */
  readonly promptsAtOnce: number;
}

export interface SampledPairOptions {
  readonly sampler: Sampler;
  readonly tokenizer: Pick<Tokenizer, "decode">;
  readonly reward: Reward;
  readonly prompts: readonly Prompt[];
  readonly sampling: PairSampling;
  /** Parent generator: only forked, never drawn from, so the caller's stream is unchanged. */
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
  /** Pairs from an interrupted run with the same options. */
  readonly known?: SampledPairs;
  /** Callback awaited after every batch with all pairs so far; it throws to stop. */
  readonly onBatch?: (made: SampledPairs) => Promise<void>;
}

export interface SampledPairs {
  /** Number of prompts that were sampled from. */
  readonly prompts: number;
  /** Number of prompts whose completions all had the same reward, so that they give no preference. */
  readonly ties: number;
  readonly pairs: readonly SampledPair[];
}

export interface SampledPair {
  readonly prompt: string;
  readonly chosen: SampledAnswer;
  readonly rejected: SampledAnswer;
}

export interface SampledAnswer {
  readonly text: string;
  readonly reward: number;
  /** Ids of prompt and answer, as they were sampled. */
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
}

/** Creates a generator for `samplePairs`. Throws `ContextLengthError` if prompt and completion do not fit. */
export async function createPairSampler(
  device: Device,
  model: Model,
  {
    tokenizer,
    prompts,
    sampling,
  }: Pick<SampledPairOptions, "prompts" | "sampling"> & {
    readonly tokenizer: Pick<Tokenizer, "vocabSize" | "unusedIds">;
  },
): Promise<Generator> {
  return await Generator.create(device, model, {
    batch: sampling.promptsAtOnce * sampling.completions,
    promptTokens: prompts.reduce((most, { ids }) => Math.max(most, ids.length), 1),
    maxNewTokens: sampling.newTokens.max,
    tokenizer,
    frozen: true,
  });
}

/**
 * Makes one pair of every prompt whose completions differ in reward. All completions of a prompt have one length, so
 * that length decides no preference.
 */
export async function samplePairs(options: SampledPairOptions): Promise<SampledPairs> {
  const { prompts, sampling, random, known, onBatch } = options;
  let made: SampledPairs = known ?? { prompts: 0, ties: 0, pairs: [] };
  while (made.prompts < prompts.length) {
    const batch = prompts.slice(made.prompts, made.prompts + sampling.promptsAtOnce);
    const pairs = await pairsOf(batch, options, random.fork(`prompts at ${made.prompts}`));
    made = {
      prompts: made.prompts + batch.length,
      ties: made.ties + batch.length - pairs.length,
      pairs: [...made.pairs, ...pairs],
    };
    await onBatch?.(made);
  }
  return made;
}

/** A pair of the ids that were sampled. */
export function tokenPairOf({ chosen, rejected }: SampledPair): TokenPair {
  const answer = ({ promptIds, ids }: SampledAnswer): TokenPair["chosen"] => ({
    prompt: Int32Array.from(promptIds),
    answer: Int32Array.from(ids),
  });
  return { chosen: answer(chosen), rejected: answer(rejected) };
}

async function pairsOf(
  prompts: readonly Prompt[],
  { sampler, tokenizer, reward, sampling, signal }: SampledPairOptions,
  random: Random,
): Promise<SampledPair[]> {
  const each = <T>(values: readonly T[]): T[] =>
    values.flatMap((value) => Array.from({ length: sampling.completions }, () => value));
  const lengths = each(drawLengths(prompts, sampling, random));
  const rollouts = await sampleRollouts(sampler, each(prompts), decodeText(tokenizer), sampling, random, lengths);
  const rewards = await scoresOf(reward, completionsOf(rollouts), signal);
  return prompts.flatMap((_prompt, at) => {
    const own = rollouts
      .slice(at * sampling.completions, (at + 1) * sampling.completions)
      .map((rollout, row) => answerOf(rollout, rewards[at * sampling.completions + row] ?? Number.NaN))
      .toSorted((a, b) => b.reward - a.reward);
    const [chosen, rejected] = [own[0], own.at(-1)];
    if (chosen === undefined || rejected === undefined || !(chosen.reward > rejected.reward)) return [];
    return [{ prompt: rollouts[at * sampling.completions]?.promptText ?? "", chosen, rejected }];
  });
}

function answerOf({ prompt, completion, text }: Rollout, reward: number): SampledAnswer {
  return { text, reward, promptIds: [...prompt], ids: [...completion] };
}
