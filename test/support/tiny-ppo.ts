/** A PPO run on a tiny model with random weights, whose "texts" are its ids joined by spaces. */
import { Random } from "../../server/common/random.ts";
import type { Device } from "../../server/engine/device.ts";
import { loadModel } from "../../server/models/checkpoint.ts";
import { plainReward } from "../../server/rewards/reward.ts";
import type { PpoTrainerOptions } from "../../server/tuning/ppo.ts";
import { ppoPresets } from "../../server/tuning/ppo-config.ts";
import type { Prompt } from "../../server/tuning/prompts.ts";
import { paperSampling, type SamplingConfig } from "../../server/tuning/sampling-config.ts";
import type { TuningKinds } from "../../server/tuning/tunings.ts";
import { modelFolder } from "../conformance/fixtures.ts";

/** The fixture model's vocabulary; id 1 ends a text. */
const tinyVocabulary = 97;

export const tinyTokenizer = {
  vocabSize: tinyVocabulary,
  unusedIds: [],
  decode: (ids: Iterable<number>): string => [...ids].map((id) => ` ${id}`).join(""),
};

/** The share of ids below half of the vocabulary: about a half before any training. */
export const lowIds = plainReward("test/low-ids", "completion", (text) => {
  const ids = text.split(" ").filter(Boolean).map(Number);
  const low = ids.filter((id) => id < tinyVocabulary / 2).length;
  return ids.length === 0 ? 0 : low / ids.length;
});

const tinyConfig: TuningKinds["ppo"] = {
  ...ppoPresets.quick,
  steps: 12,
  batchSize: 32,
  miniBatchSize: 16,
  epochs: 2,
  learningRate: 3e-3,
  warmupSteps: 0,
  schedule: "constant",
  kl: { mode: "adaptive", coefficient: 0.02, target: 2, horizon: 1000 },
};

const tinySampling: SamplingConfig = {
  ...paperSampling,
  promptTokens: { min: 1, max: 4 },
  newTokens: { min: 3, max: 8 },
  rows: 32,
};

export function tinyPrompts(count: number): Prompt[] {
  const random = Random.fromSeed(5);
  return Array.from({ length: count }, (_, textIndex) => {
    const ids = Int32Array.from({ length: 1 + random.integer(4) }, () => 2 + random.integer(tinyVocabulary - 2));
    return { ids, text: tinyTokenizer.decode(ids), textIndex };
  });
}

interface TinyChanges extends Partial<TuningKinds["ppo"]> {
  readonly seed?: number;
  readonly sampling?: Partial<SamplingConfig>;
}

/** Options for a trainer with models of its own. */
export async function tinyOptions(
  device: Device,
  { seed = 1, sampling, ...config }: TinyChanges = {},
): Promise<PpoTrainerOptions> {
  return {
    device,
    policy: await loadModel(device, modelFolder("gpt-neox")),
    reference: await loadModel(device, modelFolder("gpt-neox")),
    tokenizer: tinyTokenizer,
    reward: lowIds,
    prompts: tinyPrompts(100),
    config: { ...tinyConfig, ...config },
    sampling: { ...tinySampling, ...sampling },
    text: { prependBos: false },
    random: Random.fromSeed(seed),
  };
}
