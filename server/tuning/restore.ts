/** Locates the gain in the weights: the reward after resetting parts of them to their values before tuning. */
import { type MeanInterval, meanInterval } from "../common/mean-interval.ts";
import type { Values } from "../engine/graph.ts";
import { suffixB } from "../models/adapted-weights.ts";
import { Generator } from "../models/generate.ts";
import { scoresOf } from "../rewards/reward.ts";
import { shapeOf } from "./completion-batch.ts";
import type { EvaluationOptions } from "./evaluate.ts";
import { completionsOf, decodeText, sampleRollouts } from "./rollout.ts";

/** A named group of the model's parameters. */
export interface WeightPart {
  readonly id: string;
  /** Those that tuning changed. */
  readonly parameters: readonly string[];
}

export interface RestoreOptions extends Omit<EvaluationOptions, "base" | "known" | "onBatch"> {
  /** A parameter's values before tuning. */
  readonly before: (parameter: string) => Promise<Float32Array>;
  readonly parts: readonly WeightPart[];
  /** Rewards of the first prompts, from an interrupted measurement with the same options. */
  readonly known?: RestoredRewards;
  /** Callback awaited after every batch with all rewards so far; it throws to stop. */
  readonly onBatch?: (rewards: RestoredRewards) => Promise<void>;
}

/** Rewards prompt by prompt, of the tuned model unchanged and with each part reset, by the part's id. */
export interface RestoredRewards {
  readonly tuned: readonly number[];
  readonly parts: Readonly<Record<string, readonly number[]>>;
}

export interface RestoredPart {
  readonly id: string;
  readonly reward: MeanInterval;
  /** Change of the reward by resetting the part, prompt by prompt. */
  readonly change: MeanInterval;
}

export interface Restored {
  readonly tuned: MeanInterval;
  readonly parts: readonly RestoredPart[];
}

/**
 * Completes the prompts with the tuned model, then with each part of its weights reset in turn, always with the
 * lengths and random numbers of `evaluatePair` on the same options, so that changes are paired. Restores the weights
 * before it returns or throws.
 */
export async function measureRestored(options: RestoreOptions): Promise<Restored> {
  const { parts, known = { tuned: [], parts: {} }, onBatch } = options;
  await using generator = await createGenerator(options);
  let all: RestoredRewards = known;
  const tuned = await rewardsOf(generator, options, known.tuned, async (rewards) => {
    all = { ...all, tuned: rewards };
    await onBatch?.(all);
  });
  for (const part of parts) {
    const rewards = known.parts[part.id] ?? [];
    if (rewards.length === options.prompts.length) continue;
    await withPartPutBack(part, options, () =>
      rewardsOf(generator, options, rewards, async (found) => {
        all = { ...all, parts: { ...all.parts, [part.id]: found } };
        await onBatch?.(all);
      }),
    );
  }
  const changeOf = (rewards: readonly number[]): number[] => rewards.map((reward, at) => reward - (tuned[at] ?? 0));
  return {
    tuned: meanInterval(tuned),
    parts: parts.map(({ id }) => {
      const rewards = all.parts[id] ?? [];
      return { id, reward: meanInterval(rewards), change: meanInterval(changeOf(rewards)) };
    }),
  };
}

async function withPartPutBack<R>(
  { parameters }: WeightPart,
  { tuned: { store }, before }: RestoreOptions,
  work: () => Promise<R>,
): Promise<R> {
  const tuned = new Map<string, Values>();
  try {
    for (const parameter of parameters) {
      // Without its adapter, a weight is as before tuning.
      const adapter = parameter + suffixB;
      const name = store.names.includes(adapter) ? adapter : parameter;
      const current = await store.read(name);
      const base = name === adapter ? new Float32Array(current.length) : await before(parameter);
      tuned.set(name, current);
      await store.write(name, base);
    }
    return await work();
  } finally {
    for (const [name, values] of tuned) await store.write(name, values);
  }
}

/** Nothing is frozen, so that one program serves all parts; measured to be as fast. */
async function createGenerator(options: RestoreOptions) {
  const { device, tuned, tokenizer, sampling } = options;
  const { promptPlaces: promptTokens, completionPlaces: maxNewTokens } = shapeOf(options);
  const sizes = { batch: sampling.rows, promptTokens, maxNewTokens };
  const generator = await Generator.create(device, tuned, { ...sizes, tokenizer });
  return Object.assign(generator, { [Symbol.asyncDispose]: () => generator.dispose() });
}

/** Rewards, one a prompt. */
async function rewardsOf(
  generator: Generator,
  { tokenizer, reward, prompts, sampling, random, signal }: RestoreOptions,
  known: readonly number[],
  onBatch: (rewards: readonly number[]) => Promise<void>,
): Promise<number[]> {
  const rewards = [...known];
  for (let start = known.length; start < prompts.length; start += sampling.rows) {
    const batch = prompts.slice(start, start + sampling.rows);
    const stream = random.fork(`batch at ${start}`);
    const rollouts = await sampleRollouts(generator, batch, decodeText(tokenizer), sampling, stream);
    rewards.push(...(await scoresOf(reward, completionsOf(rollouts), signal)));
    await onBatch([...rewards]);
  }
  return rewards;
}
