/** Rewards of completions, sampled and scored as in tuning, by a model whose activations an edit may change. */
import type { AblationEdit } from "../../ablate/edit.ts";
import type { MeasuredPart } from "../../ablate/loss.ts";
import { Random } from "../../common/random.ts";
import { Generator } from "../../models/generate.ts";
import type { Model } from "../../models/model.ts";
import { scoresOf } from "../../rewards/reward.ts";
import { shapeOf } from "../../tuning/completion-batch.ts";
import { completionsOf, decodeText, drawLengths, sampleRollouts } from "../../tuning/rollout.ts";
import type { SamplingConfig } from "../../tuning/sampling-config.ts";
import type { EffectMeter, EffectOptions, RewardParts } from "./subject.ts";

/**
 * Maximum numbers of prompts in one batch and of values of their probabilities; but no fewer prompts than
 * `sampling.rows`.
 */
const mostRows = 128;
const probabilitiesAtOnce = 2 ** 23;

/**
 * Measures rewards with one compiled sampler for all conditions: the edit changes between its runs. Dispose it after
 * use.
 */
export class RewardMeter implements EffectMeter {
  readonly #subject: RewardParts;
  readonly #generator: Generator;
  readonly #rows: number;

  private constructor(subject: RewardParts, generator: Generator, rows: number) {
    this.#subject = subject;
    this.#generator = generator;
    this.#rows = rows;
  }

  static async create(subject: RewardParts, model: Model, edit: AblationEdit): Promise<RewardMeter> {
    const { device, tokenizer, sampling, prompts } = subject;
    const { promptPlaces: promptTokens, completionPlaces: maxNewTokens } = shapeOf(subject);
    const batch = rowsOf(sampling, model.config.vocabSize, prompts.length);
    const generator = await Generator.create(device, model, {
      batch,
      promptTokens,
      maxNewTokens,
      tokenizer,
      frozen: true,
      stores: edit.frozenStores,
      liveStores: edit.liveStores,
      editActivations: edit.activations,
    });
    return new RewardMeter(subject, generator, batch);
  }

  /**
   * A reward for every prompt, under the edit's current state, batch by batch. Seed and completion determine lengths and
   * random numbers, whatever the model or the edit. Prompts with completions of similar length run together, so that few
   * steps are spent on rows that have ended.
   */
  parts({ completion, seed }: EffectOptions): MeasuredPart[] {
    const { prompts, sampling, tokenizer, reward } = this.#subject;
    const random = Random.fromSeed(seed).fork(`completion ${completion}`);
    const lengths = drawLengths(prompts, sampling, random.fork("lengths"));
    const order = [...prompts.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
    return Array.from({ length: Math.ceil(order.length / this.#rows) }, (_, at) => {
      const start = at * this.#rows;
      const places = order.slice(start, start + this.#rows);
      const measure = async (signal?: AbortSignal): Promise<number[]> => {
        const batch = places.flatMap((place) => prompts[place] ?? []);
        const own = places.map((place) => lengths[place] ?? 0);
        const stream = random.fork(`batch at ${start}`);
        const rollouts = await sampleRollouts(this.#generator, batch, decodeText(tokenizer), sampling, stream, own);
        return [...(await scoresOf(reward, completionsOf(rollouts), signal))];
      };
      return { places, measure };
    });
  }

  async dispose(): Promise<void> {
    await this.#generator.dispose();
  }
}

function rowsOf({ rows: fewest }: SamplingConfig, vocabulary: number, prompts: number): number {
  const rows = Math.max(fewest, Math.min(mostRows, Math.floor(probabilitiesAtOnce / vocabulary)));
  return Math.max(1, Math.min(rows, prompts));
}
