/**
 * Fine-tuning by PPO as in the paper, which used TRL 0.7.7 (reference/method.md 1.2), with two of its bugs fixed: a
 * completion that ends early never includes tokens of its prompt, and gradients are clipped in every mini-batch.
 * Letters: B batch, N completion places.
 */
import { Random, type RandomState } from "../common/random.ts";
import type { StateStore } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import { gradientNormName, requireFinite } from "../engine/optimizer.ts";
import type { LoadedModel } from "../models/checkpoint.ts";
import { trainedPartOf } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { valueHeadTensors } from "../models/value-head.ts";
import { type Measure, partColumn, ppoMeasuresWith } from "../protocol/measures.ts";
import { partMeansOf, type Reward, scoresOf } from "../rewards/reward.ts";
import { type CompletionBatch, layOut, modelInputs, rowsOf, takeFloats } from "./completion-batch.ts";
import type { CompletionScores, PolicyScores } from "./completion-scorer.ts";
import type { EpochBatches } from "./epoch-batches.ts";
import { savePolicy } from "./policy.ts";
import { learningRateAt } from "./ppo-config.ts";
import { NonFiniteRewardError } from "./ppo-errors.ts";
import type { LossNodes } from "./ppo-loss.ts";
import { adaptKlCoefficient } from "./ppo-math.ts";
import { compilePrograms, type PpoProgramOptions, type PpoPrograms } from "./ppo-programs.ts";
import { checkKl, learningSignal, type Signal } from "./ppo-signal.ts";
import { type PpoState, parseProgress } from "./ppo-state.ts";
import { type Prompt, promptBatches } from "./prompts.ts";
import { completionsOf, decodeText, type Rollout, sampleRollouts } from "./rollout.ts";
import { restoreTensors, type SavedState, tensorBytes, tensorsFile } from "./trainer-state.ts";
import type { Tuner, TunerStep } from "./tuner.ts";
import { TuningModelError } from "./tuning-errors.ts";

export interface PpoTrainerOptions extends PpoProgramOptions {
  /** Trained in place; usually the same model as the reference initially. */
  readonly policy: LoadedModel;
  readonly tokenizer: Pick<Tokenizer, "decode" | "vocabSize" | "unusedIds">;
  readonly reward: Reward;
  readonly prompts: readonly Prompt[];
  /** Parent generator: only forked, never drawn from; the trainer's own streams are part of its state. */
  readonly random: Random;
  /** Aborts a slow reward, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Result of a step. */
export interface PpoStep extends TunerStep {
  /** Those of a weighted reward have the mean of each part too, under its `partColumn`. */
  readonly metrics: PpoMetrics;
  /** Every completion of the batch, in its order. */
  readonly samples: readonly PpoSample[];
  readonly times: PpoTimes;
}

/** Metrics that depend only on seed, data and device: a resumed run gives the same ones. */
export type PpoMetrics = Readonly<{
  /** 1, 2, ... */
  step: number;
  rewardMean: number;
  rewardSd: number;
  /**
   * KL from the reference before this step's learning: mean over completions of the sum over tokens of log p - log
   * p_reference, in nats.
   */
  kl: number;
  /** The coefficient in this step's rewards. */
  klCoefficient: number;
  /** Mean over tokens, before this step's learning, in nats. */
  entropy: number;
  /** Mean over the sampled tokens of -log p: near the entropy unless sampling and scoring disagree. */
  surprisal: number;
  explainedVariance: number | null;
  /** Means over the step's mini-batches, each before its own optimizer step. */
  policyLoss: number;
  valueLoss: number;
  /** Half the mean square of log p - log p_old. */
  approxKl: number;
  clipFraction: number;
  valueClipFraction: number;
  /** Norm before clipping. */
  gradientNorm: number;
  /** Mini-batches that were skipped because the mean probability ratio exceeded the threshold. */
  skippedMiniBatches: number;
  learningRate: number;
  /** Number of tokens that the policy sampled in this step, including end-of-text tokens. */
  tokens: number;
  /** Share of completions that reached an end of text. */
  endedShare: number;
}>;

export interface PpoSample {
  readonly prompt: string;
  readonly completion: string;
  readonly reward: number;
  readonly kl: number;
}

/** Seconds of wall time, by sub-step. */
export interface PpoTimes {
  readonly sampleS: number;
  readonly rewardS: number;
  /** Scoring the sampled completions by policy and reference. */
  readonly scoreS: number;
  readonly trainS: number;
  readonly totalS: number;
}

/** Creates a trainer. Throws `TooFewPromptsError`, `TuningModelError`, `ContextLengthError` and what compiling throws. */
export async function createPpoTrainer(options: PpoTrainerOptions): Promise<PpoTrainer> {
  checkModels(options);
  const prompts = promptBatches(options.prompts, options.config.batchSize, options.random.state);
  return new PpoTrainer(options, await compilePrograms(options), prompts);
}

export class PpoTrainer implements Tuner {
  readonly measures: readonly Measure[];
  readonly #options: PpoTrainerOptions;
  readonly #programs: PpoPrograms;
  #prompts: EpochBatches<Prompt>;
  #seed: RandomState;
  #random: Random;
  #steps = 0;
  #optimizerSteps = 0;
  #klCoefficient: number;
  #failure: unknown;

  /** See `createPpoTrainer`. */
  constructor(options: PpoTrainerOptions, programs: PpoPrograms, prompts: EpochBatches<Prompt>) {
    this.measures = ppoMeasuresWith((options.reward.parts ?? []).map(({ name }) => name));
    this.#options = options;
    this.#programs = programs;
    this.#prompts = prompts;
    this.#seed = options.random.state;
    this.#random = options.random.fork("steps");
    this.#klCoefficient = options.config.kl.coefficient;
  }

  get steps(): number {
    return this.#options.config.steps;
  }

  get done(): number {
    return this.#steps;
  }

  /**
   * Runs one PPO step. Throws `NegativeKlError`, `RunawayKlError`, `NonFiniteRewardError` and the engine's
   * `NonFiniteError`. After any error the trainer refuses to step, to be saved and to return its state, so that the
   * last good state stays the saved one.
   */
  async step(): Promise<PpoStep> {
    this.#refuseIfFailed();
    try {
      return await this.#takeStep();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /**
   * The complete state: a trainer with the same options resumes from it bit for bit. Read its files before the next
   * step.
   */
  capture(): PpoState {
    this.#refuseIfFailed();
    const state = {
      steps: this.#steps,
      optimizerSteps: this.#optimizerSteps,
      klCoefficient: this.#klCoefficient,
      seed: this.#seed,
      random: this.#random.state,
    };
    return { state, files: { [tensorsFile]: tensorBytes(this.#stores) } };
  }

  /**
   * Resets the trainer to a saved state. Throws `TrainerStateError`, and changes nothing, if it belongs to another
   * model.
   */
  async restore(saved: SavedState): Promise<void> {
    const progress = parseProgress(saved.state);
    await restoreTensors(this.#stores, await saved.read(tensorsFile));
    this.#seed = progress.seed;
    this.#random = Random.fromState(progress.random);
    this.#prompts = this.#prompts.withSeed(progress.seed);
    this.#steps = progress.steps;
    this.#optimizerSteps = progress.optimizerSteps;
    this.#klCoefficient = progress.klCoefficient;
    this.#failure = undefined;
  }

  /** Saves the policy as a Hugging Face checkpoint, with the value head under TRL's names (`v_head.summary.*`). */
  async save(folder: string): Promise<void> {
    this.#refuseIfFailed();
    await savePolicy(this.#options.policy, folder, await valueHeadTensors(this.#programs.head));
  }

  /** Frees the programs, the value head and the moments; the caller frees the two models. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#programs.dispose();
  }

  get #stores(): readonly StateStore[] {
    return [trainedPartOf(this.#options.policy).store, this.#programs.head.store, this.#programs.optimizer.store];
  }

  async #takeStep(): Promise<PpoStep> {
    const clock = new StepClock();
    const prompts = this.#prompts.batch(this.#steps);
    const rollouts = await clock.time("sampleS", () => this.#sample(prompts));
    const batch = layOut(rollouts, this.#programs.shape);
    const rewards = await clock.time("rewardS", () => this.#reward(rollouts));
    const byPart = await clock.time("rewardS", () => this.#rewardByPart(rollouts));
    const [old, reference] = await clock.time("scoreS", () => this.#score(batch));
    const signal = learningSignal(
      { batch, old, reference, rewards, klCoefficient: this.#klCoefficient },
      this.#options.config,
    );
    checkKl(signal.kl, this.#steps + 1, this.#options.config);
    const learned = await clock.time("trainS", () => this.#train(batch, old, signal));
    const metrics = { ...this.#describe(signal, rollouts), ...learned, ...byPart };
    this.#steps += 1;
    this.#adaptKl(signal.kl);
    const samples = samplesOf(rollouts, rewards, signal.kls);
    return { metrics, samples, shown: bestAndWorst(samples), times: clock.times() };
  }

  async #sample(prompts: readonly Prompt[]): Promise<Rollout[]> {
    const { tokenizer, sampling } = this.#options;
    return sampleRollouts(this.#programs.sampler, prompts, decodeText(tokenizer), sampling, this.#random);
  }

  async #reward(rollouts: readonly Rollout[]): Promise<number[]> {
    const { reward, signal } = this.#options;
    const values = [...(await scoresOf(reward, completionsOf(rollouts), signal))];
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new NonFiniteRewardError(
        this.#steps + 1,
        reward.name,
        values[bad] ?? Number.NaN,
        rollouts[bad]?.text ?? "",
      );
    return values;
  }

  /** What parts remember, such as grades, is not asked again. */
  async #rewardByPart(rollouts: readonly Rollout[]): Promise<Readonly<Record<string, number>>> {
    const { reward, signal } = this.#options;
    const means = await partMeansOf(reward, completionsOf(rollouts), signal);
    return Object.fromEntries([...means].map(([name, mean]) => [partColumn(name), mean]));
  }

  async #score(batch: CompletionBatch): Promise<[old: PolicyScores, reference: CompletionScores]> {
    const { policyScorer, referenceScorer } = this.#programs;
    return [await policyScorer.score(batch), await referenceScorer.score(batch)];
  }

  /** Runs the optimizer steps: `epochs` passes over the batch, in mini-batches of a new random order each time. */
  async #train(batch: CompletionBatch, old: PolicyScores, { advantages, returns }: Signal): Promise<LearningMetrics> {
    const { epochs, miniBatchSize, ratioThreshold } = this.#options.config;
    const order = [...Array(batch.rows).keys()];
    const all: MiniBatchResults[] = [];
    let skippedMiniBatches = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const shuffled = this.#random.shuffled(order);
      for (let start = 0; start < batch.rows; start += miniBatchSize) {
        const rows = shuffled.slice(start, start + miniBatchSize);
        const part = rowsOf(batch, rows);
        const pick = (values: ArrayLike<number>): Float32Array => takeFloats(values, rows, batch.rows);
        const results = await this.#trainOn({
          ...modelInputs(part),
          mask: part.mask,
          oldLogProbs: pick(old.logProbs),
          oldValues: pick(old.values),
          advantages: pick(advantages),
          returns: pick(returns),
        });
        all.push(results);
        if (results.ratio > ratioThreshold) skippedMiniBatches += 1;
      }
    }
    const { ratio: _, loss: __, ...reported } = meansOf(all);
    return { ...reported, skippedMiniBatches, learningRate: this.#learningRate };
  }

  async #trainOn(inputs: Record<string, Values>): Promise<MiniBatchResults> {
    const { optimizer, training } = this.#programs;
    const { weightDecay, maxGradientNorm } = this.#options.config;
    const step = this.#optimizerSteps + 1;
    const options = { ...adam, learningRate: this.#learningRate, weightDecay, maxGradientNorm };
    const results = await training.run({ ...inputs, ...optimizer.inputsAt(step, options) });
    this.#optimizerSteps = step;
    const number = (name: string): number => requireFinite(name, step, results[name]);
    return {
      loss: number("loss"),
      policyLoss: number("policyLoss"),
      valueLoss: number("valueLoss"),
      ratio: number("ratio"),
      approxKl: number("approxKl"),
      clipFraction: number("clipFraction"),
      valueClipFraction: number("valueClipFraction"),
      gradientNorm: number(gradientNormName),
    };
  }

  get #learningRate(): number {
    return learningRateAt(this.#options.config, this.#steps);
  }

  #describe(signal: Signal, rollouts: readonly Rollout[]): Omit<PpoMetrics, keyof LearningMetrics> {
    const { advantages: _, returns: __, kls: ___, ...reported } = signal;
    const endedShare = rollouts.filter(({ ended }) => ended).length / rollouts.length;
    const counted = { step: this.#steps + 1, klCoefficient: this.#klCoefficient, endedShare };
    return { ...counted, ...reported };
  }

  #adaptKl(kl: number): void {
    const { kl: settings, batchSize } = this.#options.config;
    if (settings.mode === "fixed") return;
    this.#klCoefficient = adaptKlCoefficient(this.#klCoefficient, kl, { ...settings, episodes: batchSize });
  }

  #refuseIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Defaults of torch.optim.AdamW. */
const adam = { beta1: 0.9, beta2: 0.999, eps: 1e-8 } as const;

type MiniBatchResults = { readonly [K in keyof LossNodes | "gradientNorm"]: number };
type LearningMetrics = Omit<MiniBatchResults, "ratio" | "loss"> &
  Pick<PpoMetrics, "skippedMiniBatches" | "learningRate">;

function checkModels({ policy, reference, tokenizer }: PpoTrainerOptions): void {
  const sizes = [policy.config.vocabSize, reference.config.vocabSize];
  if (sizes[0] !== sizes[1])
    throw new TuningModelError(
      `the policy has ${sizes[0]} tokens and the reference ${sizes[1]}: they must be the same model`,
    );
  if (policy.store === reference.store && policy.adapters === undefined)
    throw new TuningModelError("policy and reference share their weights: load the reference on its own");
  if (tokenizer.vocabSize > policy.config.vocabSize)
    throw new TuningModelError(
      `the tokenizer has ${tokenizer.vocabSize} tokens but the model only ${policy.config.vocabSize}: it belongs to another model`,
    );
}

function samplesOf(rollouts: readonly Rollout[], rewards: readonly number[], kls: readonly number[]): PpoSample[] {
  return rollouts.map(({ promptText, text }, row) => ({
    prompt: promptText,
    completion: text,
    reward: rewards[row] ?? 0,
    kl: kls[row] ?? 0,
  }));
}

function bestAndWorst(samples: readonly PpoSample[]): Readonly<Record<"best" | "worst", string>> {
  const byReward = samples.toSorted((a, b) => b.reward - a.reward);
  const shown = (sample: PpoSample | undefined): string =>
    sample === undefined ? "" : `${sample.prompt} → ${sample.completion}`;
  return { best: shown(byReward[0]), worst: shown(byReward.at(-1)) };
}

/** Means over the mini-batches of a step. */
function meansOf(all: readonly MiniBatchResults[]): MiniBatchResults {
  const mean = (name: keyof MiniBatchResults): number =>
    all.reduce((total, results) => total + results[name], 0) / all.length;
  return {
    loss: mean("loss"),
    policyLoss: mean("policyLoss"),
    valueLoss: mean("valueLoss"),
    ratio: mean("ratio"),
    approxKl: mean("approxKl"),
    clipFraction: mean("clipFraction"),
    valueClipFraction: mean("valueClipFraction"),
    gradientNorm: mean("gradientNorm"),
  };
}

type TimedPart = Exclude<keyof PpoTimes, "totalS">;

class StepClock {
  readonly #start = performance.now();
  readonly #spent: Record<TimedPart, number> = { sampleS: 0, rewardS: 0, scoreS: 0, trainS: 0 };

  async time<T>(part: TimedPart, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.#spent[part] += (performance.now() - start) / 1000;
    return result;
  }

  times(): PpoTimes {
    return { ...this.#spent, totalS: (performance.now() - this.#start) / 1000 };
  }
}
