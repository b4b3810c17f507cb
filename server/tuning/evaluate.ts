/** Held-out evaluation: how tuning changed the reward, prompt by prompt, and how far the model moved from its base. */
import { type MeanInterval, meanInterval } from "../common/mean-interval.ts";
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { Generator } from "../models/generate.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { type Reward, scoresOf } from "../rewards/reward.ts";
import { layOut, shapeOf } from "./completion-batch.ts";
import { CompletionScorer } from "./completion-scorer.ts";
import { completionKl } from "./ppo-math.ts";
import type { Prompt } from "./prompts.ts";
import { completionsOf, decodeText, type Rollout, sampleRollouts } from "./rollout.ts";
import type { CompletionConfig } from "./sampling-config.ts";

/** Lengths and temperature equal those of tuning. */
export interface EvaluationOptions extends CompletionConfig {
  readonly device: Device;
  readonly base: Model;
  readonly tuned: Model;
  readonly tokenizer: Pick<Tokenizer, "decode" | "vocabSize" | "unusedIds">;
  readonly reward: Reward;
  /** Prompts from held-out texts. */
  readonly prompts: readonly Prompt[];
  /** Parent generator: only forked, never drawn from, so the caller's stream is unchanged. */
  readonly random: Random;
  /** Pairs of the first prompts, from an interrupted evaluation with the same options. */
  readonly known?: readonly EvaluatedPair[];
  /** Callback awaited after every batch with all pairs so far; it throws to stop. */
  readonly onBatch?: (pairs: readonly EvaluatedPair[]) => Promise<void>;
  /** Aborts a slow reward, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface Evaluation {
  readonly base: MeanInterval;
  readonly tuned: MeanInterval;
  /** Reward of the tuned model's completion minus that of the base's, for each prompt. */
  readonly difference: MeanInterval;
  /** KL of the tuned model from the base, over the tuned model's completions, in nats a completion. */
  readonly kl: MeanInterval;
  readonly pairs: readonly EvaluatedPair[];
}

export interface EvaluatedPair {
  readonly prompt: string;
  readonly base: { readonly completion: string; readonly reward: number };
  readonly tuned: { readonly completion: string; readonly reward: number; readonly kl: number };
}

/**
 * Samples one completion of every prompt by each model. Both models get the same lengths and random numbers, so that
 * a pair's difference is due to the models alone.
 */
export async function evaluatePair(options: EvaluationOptions): Promise<Evaluation> {
  const { prompts, sampling, random, known = [], onBatch } = options;
  const { rows } = sampling;
  await using programs = await compileEvaluation(options);
  const pairs: EvaluatedPair[] = [...known];
  for (let start = known.length; start < prompts.length; start += rows) {
    const batch = prompts.slice(start, start + rows);
    const draw = (generator: Generator): Promise<Rollout[]> =>
      sampleRollouts(generator, batch, decodeText(options.tokenizer), sampling, random.fork(`batch at ${start}`));
    const base = await draw(programs.baseGenerator);
    const tuned = await draw(programs.tunedGenerator);
    const kls = await klsOf(tuned, programs, options);
    pairs.push(...(await pairsOf(base, tuned, kls, options)));
    await onBatch?.(pairs);
  }
  return summarised(pairs);
}

interface EvaluationPrograms extends AsyncDisposable {
  readonly baseGenerator: Generator;
  readonly tunedGenerator: Generator;
  readonly baseScorer: CompletionScorer;
  readonly tunedScorer: CompletionScorer;
}

async function compileEvaluation(options: EvaluationOptions): Promise<EvaluationPrograms> {
  const { device, base, tuned, tokenizer, sampling } = options;
  const shape = shapeOf(options);
  const { promptPlaces: promptTokens, completionPlaces: maxNewTokens } = shape;
  const sizes = { batch: sampling.rows, promptTokens, maxNewTokens };
  const generating = { ...sizes, tokenizer, frozen: true };
  const scoring = { ...shape, rowsAtOnce: sampling.scoredRows, temperature: sampling.temperature, frozen: true };
  const programs = {
    baseGenerator: await Generator.create(device, base, generating),
    tunedGenerator: await Generator.create(device, tuned, generating),
    baseScorer: await CompletionScorer.create(device, base, scoring),
    tunedScorer: await CompletionScorer.create(device, tuned, scoring),
  };
  const dispose = async (): Promise<void> => {
    for (const program of Object.values(programs)) await program.dispose();
  };
  return { ...programs, [Symbol.asyncDispose]: dispose };
}

async function klsOf(
  rollouts: readonly Rollout[],
  { baseScorer, tunedScorer }: EvaluationPrograms,
  options: EvaluationOptions,
): Promise<number[]> {
  const batch = layOut(rollouts, shapeOf(options));
  const { logProbs } = await tunedScorer.score(batch);
  const { logProbs: referenceLogProbs } = await baseScorer.score(batch);
  return completionKl({ logProbs, referenceLogProbs, mask: batch.mask }, batch.rows);
}

async function pairsOf(
  base: readonly Rollout[],
  tuned: readonly Rollout[],
  kls: readonly number[],
  { reward, signal }: EvaluationOptions,
): Promise<EvaluatedPair[]> {
  const rewards = await scoresOf(reward, completionsOf(base), signal);
  const tunedRewards = await scoresOf(reward, completionsOf(tuned), signal);
  return base.map(({ promptText, text }, row) => ({
    prompt: promptText,
    base: { completion: text, reward: rewards[row] ?? 0 },
    tuned: { completion: tuned[row]?.text ?? "", reward: tunedRewards[row] ?? 0, kl: kls[row] ?? 0 },
  }));
}

function summarised(pairs: readonly EvaluatedPair[]): Evaluation {
  return {
    base: meanInterval(pairs.map(({ base }) => base.reward)),
    tuned: meanInterval(pairs.map(({ tuned }) => tuned.reward)),
    difference: meanInterval(pairs.map(({ base, tuned }) => tuned.reward - base.reward)),
    kl: meanInterval(pairs.map(({ tuned }) => tuned.kl)),
    pairs,
  };
}
