import { z } from "zod";
import { parseJson } from "../common/json.ts";
import type { Measure } from "../protocol/measures.ts";
import type { Checkpoint, CheckpointContent } from "../runs/stage.ts";
import { createDpoTrainer, type DpoTrainer } from "./dpo.ts";
import type { DpoConfig } from "./dpo-config.ts";
import { makePrompts } from "./prompts.ts";
import { createPairSampler, type SampledPairs, samplePairs, tokenPairOf } from "./sampled-pairs.ts";
import { tensorsFile } from "./trainer-state.ts";
import type { Tuner, TunerInput, TunerStep } from "./tuner.ts";

/**
 * Opens a DPO tuner on pairs of answers. Throws what `makePrompts`, `samplePairs`, `createDpoTrainer` and
 * `DpoTrainer.restore` throw.
 */
export async function openDpoTuner(input: TunerInput, config: DpoConfig, saved?: Checkpoint): Promise<Tuner> {
  // A checkpoint without tensors is of the time before the first step.
  const trained = saved?.fileNames.includes(tensorsFile) === true ? saved : undefined;
  const known = saved === undefined ? undefined : await readPairs(saved);
  const made = trained === undefined || known === undefined ? await sampledBy(input, config, known) : known;
  const pairs = made.pairs.map(tokenPairOf);
  const onReference = async (done: number, total: number): Promise<void> => {
    await input.onPrepared?.({ done, total, unit: "pairs read by the reference" }, () => pairsOnly(made));
  };
  return new DpoTuner(await createDpoTrainer({ ...input, pairs, config, onReference }, trained), config, made);
}

/** File of the sampled pairs, so that a resumed tuning does not sample them again. */
const pairsFile = "pairs.json";

/** Named as in TRL; rewards are implicit, beta times log-ratios. */
const measures: readonly Measure[] = [
  { id: "loss", column: "loss", title: "Loss", short: "loss" },
  { id: "margins", column: "rewards/margins", title: "Margin of chosen over rejected", short: "margin" },
  {
    id: "accuracies",
    column: "rewards/accuracies",
    title: "Share of pairs with the chosen answer above",
    short: "accuracy",
  },
  { id: "chosen", column: "rewards/chosen", title: "Implicit reward of chosen answers" },
  { id: "rejected", column: "rewards/rejected", title: "Implicit reward of rejected answers" },
  { id: "gradient-norm", column: "gradientNorm", title: "Gradient norm before clipping" },
];

class DpoTuner implements Tuner {
  readonly measures = measures;
  readonly steps: number;
  readonly #trainer: DpoTrainer;
  readonly #made: SampledPairs;

  constructor(trainer: DpoTrainer, { steps }: DpoConfig, made: SampledPairs) {
    this.#trainer = trainer;
    this.steps = steps;
    this.#made = made;
  }

  get done(): number {
    return this.#trainer.steps;
  }

  async step(): Promise<TunerStep> {
    const { metrics, pairs } = await this.#trainer.step();
    const [first] = pairs.flatMap((index) => this.#made.pairs[index] ?? []);
    const shown =
      first === undefined
        ? {}
        : { chosen: first.prompt + first.chosen.text, rejected: first.prompt + first.rejected.text };
    return { metrics: { ...metrics }, shown };
  }

  capture(): CheckpointContent {
    const { state, files } = this.#trainer.state();
    return { state, files: { ...files, [pairsFile]: bytesOf(this.#made) } };
  }

  async save(folder: string): Promise<void> {
    await this.#trainer.save(folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trainer.dispose();
  }
}

async function sampledBy(
  input: TunerInput,
  { pairs }: DpoConfig,
  known: SampledPairs | undefined,
): Promise<SampledPairs> {
  const { device, reference, tokenizer, texts, reward, random, signal, onPrepared } = input;
  const options = { ...input.sampling, ...input.text, bosId: reference.config.bosId };
  const prompts = makePrompts(texts, tokenizer, options, random.fork("prompts")).slice(0, pairs.prompts);
  const sampling = { ...input.sampling, ...pairs };
  const sampler = await createPairSampler(device, reference, { tokenizer, prompts, sampling });
  try {
    return await samplePairs({
      sampler,
      tokenizer,
      reward,
      prompts,
      sampling,
      random: random.fork("pairs"),
      signal,
      ...(known === undefined ? {} : { known }),
      onBatch: async (made) => {
        signal?.throwIfAborted();
        // A prompt whose completions tie gives no pair.
        const progress = { done: made.pairs.length, total: prompts.length - made.ties, unit: "pairs" };
        await onPrepared?.(progress, () => pairsOnly(made));
      },
    });
  } finally {
    await sampler.dispose();
  }
}

/** A checkpoint before the first step: the pairs so far. */
function pairsOnly(made: SampledPairs): CheckpointContent {
  return { state: { steps: 0 }, files: { [pairsFile]: bytesOf(made) } };
}

function bytesOf(made: SampledPairs): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(made));
}

const answer = z.object({
  text: z.string(),
  reward: z.number(),
  promptIds: z.array(z.int()),
  ids: z.array(z.int()),
});
const sampledPairs = z.object({
  prompts: z.int(),
  ties: z.int(),
  pairs: z.array(z.object({ prompt: z.string(), chosen: answer, rejected: answer })),
});

async function readPairs(saved: Checkpoint): Promise<SampledPairs> {
  return sampledPairs.parse(parseJson(new TextDecoder().decode(await saved.read(pairsFile))));
}
