import type { Measure } from "../protocol/measures.ts";
import type { Checkpoint, CheckpointContent } from "../runs/stage.ts";
import { createDpoTrainer, type DpoTrainer } from "./dpo.ts";
import type { DpoConfig } from "./dpo-config.ts";
import { beforeSteps, type DpoPairs, openPairs } from "./dpo-pairs.ts";
import { openPolicy } from "./policy.ts";
import { tensorsFile } from "./trainer-state.ts";
import type { Tuner, TunerInput, TunerStep } from "./tuner.ts";

/**
 * Opens a DPO tuner on pairs of answers. Throws what `openPairs`, `createDpoTrainer` and `DpoTrainer.restore` throw.
 */
export async function openDpoTuner(input: TunerInput, config: DpoConfig, saved?: Checkpoint): Promise<Tuner> {
  // A checkpoint without tensors is of the time before the first step.
  const trained = saved?.fileNames.includes(tensorsFile) === true ? saved : undefined;
  const made = await openPairs(input, config.pairs, { saved, complete: trained !== undefined });
  const { pairs, files } = made;
  const onReference = async (done: number, total: number): Promise<void> => {
    await input.onPrepared?.({ done, total, unit: "pairs read by the reference" }, () => beforeSteps(files));
  };
  const policy = await openPolicy(input, config.lora, input.random.fork("adapters"));
  const trainer = await createDpoTrainer({ ...input, policy, pairs, config, onReference }, trained);
  return new DpoTuner(trainer, config, made);
}

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
  readonly #made: DpoPairs;

  constructor(trainer: DpoTrainer, { steps }: DpoConfig, made: DpoPairs) {
    this.#trainer = trainer;
    this.steps = steps;
    this.#made = made;
  }

  get done(): number {
    return this.#trainer.steps;
  }

  async step(): Promise<TunerStep> {
    const { metrics, pairs } = await this.#trainer.step();
    const [first] = pairs;
    const shown = first === undefined ? {} : this.#made.shown(first);
    return { metrics: { ...metrics }, shown };
  }

  capture(): CheckpointContent {
    const { state, files } = this.#trainer.state();
    return { state, files: { ...files, ...this.#made.files } };
  }

  async save(folder: string): Promise<void> {
    await this.#trainer.save(folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trainer.dispose();
  }
}
