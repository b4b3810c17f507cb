/**
 * Fine-tuning by direct preference optimisation, as in TRL 1.x: the loss of dpo-loss.ts on pairs of answers, AdamW,
 * gradients clipped in every step. Dropout is off, as in TRL.
 */
import type { Random, RandomState } from "../common/random.ts";
import type { StateStore } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import { gradientNormName, requireFinite } from "../engine/optimizer.ts";
import type { LoadedModel } from "../models/checkpoint.ts";
import { trainedPartOf } from "../models/model.ts";
import type { DpoConfig } from "./dpo-config.ts";
import { DpoCollapseError, TooFewPairsError } from "./dpo-errors.ts";
import type { DpoNodes } from "./dpo-loss.ts";
import { type DpoModels, DpoPrograms, freezesReference, mostShapesOf } from "./dpo-programs.ts";
import { type DpoState, parseDpoProgress, referenceBytes, referenceFile, referenceFrom } from "./dpo-state.ts";
import { EpochBatches } from "./epoch-batches.ts";
import type { PairLogProbs } from "./pair-batch.ts";
import { needsOf, pairInputs } from "./pair-rows.ts";
import { savePolicy } from "./policy.ts";
import { learningRateAt } from "./ppo-config.ts";
import { batchNeeds, type RowShape, rowCostOf, rowShapesFor, smallestRowShape } from "./row-shapes.ts";
import { scorePairs, unscored } from "./score-pairs.ts";
import type { TokenPair } from "./token-pair.ts";
import { restoreTensors, type SavedState, tensorBytes, tensorsFile } from "./trainer-state.ts";
import { TuningModelError } from "./tuning-errors.ts";

export interface DpoTrainerOptions extends DpoModels {
  /** Trained in place; initially the same model as the reference. */
  readonly policy: LoadedModel;
  readonly pairs: readonly TokenPair[];
  readonly config: DpoConfig;
  /** Parent generator: only forked, never drawn from; the trainer's own streams are part of its state. */
  readonly random: Random;
  /** Order of the pairs: reshuffled in every epoch, or as given. */
  readonly order?: "shuffled" | "given";
  /** Callback after every batch of pairs that the reference scored before training. */
  readonly onReference?: (done: number, total: number) => void | Promise<void>;
}

/**
 * Metrics that depend only on seed, data and device, named as in TRL. Means over the step's pairs, before its
 * optimizer step.
 */
export interface DpoMetrics {
  /** 1, 2, ... */
  readonly step: number;
  readonly loss: number;
  readonly "rewards/chosen": number;
  readonly "rewards/rejected": number;
  readonly "rewards/margins": number;
  readonly "rewards/accuracies": number;
  readonly "logps/chosen": number;
  readonly "logps/rejected": number;
  /** Norm before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Number of tokens of the answers. */
  readonly tokens: number;
}

/** Result of a step: its metrics, and the indices of its pairs. */
export interface DpoStep {
  readonly metrics: DpoMetrics;
  readonly pairs: readonly number[];
}

/**
 * Creates a trainer; if the reference is scored only once, scores it now. Throws `TooFewPairsError`, `TuningModelError`,
 * `ContextLengthError` and what compiling throws.
 */
export async function createDpoTrainer(options: DpoTrainerOptions, saved?: SavedState): Promise<DpoTrainer> {
  checkModels(options);
  const trainer = new DpoTrainer(options, await DpoPrograms.create(options, options.config));
  if (saved !== undefined) await trainer.restore(saved);
  else if (options.config.reference === "once") await trainer.readReference();
  return trainer;
}

export class DpoTrainer {
  readonly #options: DpoTrainerOptions;
  readonly #programs: DpoPrograms;
  #batches: EpochBatches<number>;
  /** What each pair needs of a shape. */
  readonly #needs: readonly RowShape[];
  #shapes: readonly RowShape[] | undefined;
  /** The reference's log-probabilities by pair, if they are computed only once; NaN for pairs that no step takes. */
  #reference: readonly PairLogProbs[] = [];
  #seed: RandomState;
  #steps = 0;
  /** Margins and chosen rewards of the last steps, which are checked against `stop`. */
  #recent: readonly { readonly margin: number; readonly chosen: number }[] = [];
  #failure: unknown;

  /** See `createDpoTrainer`. */
  constructor(options: DpoTrainerOptions, programs: DpoPrograms) {
    const { pairs, config, random, order = "shuffled" } = options;
    this.#options = options;
    this.#programs = programs;
    this.#batches = new EpochBatches([...pairs.keys()], {
      batchSize: config.batchSize,
      seed: random.state,
      name: "pairs",
      order,
    });
    this.#needs = pairs.map(needsOf);
    this.#seed = random.state;
  }

  /** Number of steps done, including restored ones. */
  get steps(): number {
    return this.#steps;
  }

  get done(): boolean {
    return this.#steps >= this.#options.config.steps;
  }

  /** Computes the reference's log-probabilities of all pairs that the steps will take. */
  async readReference(): Promise<void> {
    const { device, policy, reference, pairs, config, onReference } = this.#options;
    const wanted = this.#taken();
    const scores = await scorePairs(device, reference, this.#pairsAt(wanted), {
      pairsAtOnce: config.pairsAtOnce,
      frozen: freezesReference(policy),
      onBatch: async ({ size }) => await onReference?.(size, wanted.length),
    });
    const found: PairLogProbs[] = pairs.map(() => unscored);
    for (const [at, index] of wanted.entries()) found[index] = scores[at] ?? unscored;
    this.#reference = found;
  }

  /**
   * Runs one optimizer step. Throws `DpoCollapseError` and the engine's `NonFiniteError`. After any error the
   * trainer refuses to step, to be saved and to return its state, so that the last good state stays the saved one.
   */
  async step(): Promise<DpoStep> {
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
  state(): DpoState {
    this.#refuseIfFailed();
    return {
      state: { steps: this.#steps, seed: this.#seed, recent: [...this.#recent] },
      files: { [tensorsFile]: tensorBytes(this.#stores), [referenceFile]: referenceBytes(this.#reference) },
    };
  }

  /** Resets the trainer to a saved state. Throws `TrainerStateError` if it belongs to another model or other pairs. */
  async restore(saved: SavedState): Promise<void> {
    const progress = parseDpoProgress(saved.state);
    const reference = referenceFrom(await saved.read(referenceFile), this.#options);
    await restoreTensors(this.#stores, await saved.read(tensorsFile));
    this.#reference = reference;
    this.#seed = progress.seed;
    this.#batches = this.#batches.withSeed(progress.seed);
    this.#shapes = undefined;
    this.#steps = progress.steps;
    this.#recent = progress.recent;
    this.#failure = undefined;
  }

  /** Saves the policy as a Hugging Face checkpoint. */
  async save(folder: string): Promise<void> {
    this.#refuseIfFailed();
    await savePolicy(this.#options.policy, folder);
  }

  /** Frees the programs and the moments; the caller frees the two models. */
  async dispose(): Promise<void> {
    await this.#programs.dispose();
  }

  get #stores(): readonly StateStore[] {
    return [trainedPartOf(this.#options.policy).store, this.#programs.optimizer.store];
  }

  async #takeStep(): Promise<DpoStep> {
    const { config } = this.#options;
    const batch = this.#batches.batch(this.#steps);
    const results: StepResults[] = [];
    for (const [at, part] of partsOf(batch, config.pairsAtOnce).entries())
      results.push(await this.#learnFrom(part, at === 0));
    const means = meansOf(results);
    const gradientNorm = (await this.#stepOnSums()) ?? means.gradientNorm;
    const metrics = this.#describe(batch, { ...means, gradientNorm });
    this.#steps += 1;
    this.#watch(metrics);
    return { metrics, pairs: batch };
  }

  async #learnFrom(indices: readonly number[], first: boolean): Promise<StepResults> {
    const shape = this.#shapeOf(indices);
    const programs = await this.#programs.of(shape);
    const pairs = this.#pairsAt(indices);
    const reference = (await programs.reference?.score(pairs)) ?? indices.map((index) => this.#reference[index]);
    const sums = [...reference.map((one) => one?.chosen), ...reference.map((one) => one?.rejected)];
    const { gradients } = this.#programs;
    const results = await programs.training.run({
      ...pairInputs(pairs, { ...shape, pairs: pairs.length, localWindow: this.#options.policy.config.localWindow }),
      reference: Float32Array.from(sums, (sum) => sum ?? Number.NaN),
      ...(gradients?.inputsAt(first) ?? this.#optimizerInputs()),
    });
    const number = (name: string): number => requireFinite(name, this.#steps + 1, results[name]);
    return {
      loss: number("loss"),
      rewardsChosen: number("rewardsChosen"),
      rewardsRejected: number("rewardsRejected"),
      rewardsMargins: number("rewardsMargins"),
      rewardsAccuracies: number("rewardsAccuracies"),
      logpsChosen: number("logpsChosen"),
      logpsRejected: number("logpsRejected"),
      gradientNorm: gradients === undefined ? number(gradientNormName) : 0,
    };
  }

  /** Returns the norm of the accumulated gradients; undefined if the loss's program already took the step. */
  async #stepOnSums(): Promise<number | undefined> {
    const { gradients } = this.#programs;
    if (gradients === undefined) return undefined;
    const program = await this.#programs.step(gradients);
    const results = await program.run(this.#optimizerInputs());
    return requireFinite(gradientNormName, this.#steps + 1, results[gradientNormName]);
  }

  #optimizerInputs(): Record<string, Values> {
    const { weightDecay, maxGradientNorm, optimizer } = this.#options.config;
    const eps = epsAt(optimizer, this.#steps + 1);
    const options = { ...adam, eps, learningRate: this.#learningRate, weightDecay, maxGradientNorm };
    return this.#programs.optimizer.inputsAt(this.#steps + 1, options);
  }

  get #learningRate(): number {
    return learningRateAt(this.#options.config, this.#steps);
  }

  #describe(batch: readonly number[], results: StepResults): DpoMetrics {
    const tokens = this.#pairsAt(batch).reduce(
      (sum, { chosen, rejected }) => sum + chosen.answer.length + rejected.answer.length,
      0,
    );
    return {
      step: this.#steps + 1,
      loss: results.loss,
      "rewards/chosen": results.rewardsChosen,
      "rewards/rejected": results.rewardsRejected,
      "rewards/margins": results.rewardsMargins,
      "rewards/accuracies": results.rewardsAccuracies,
      "logps/chosen": results.logpsChosen,
      "logps/rejected": results.logpsRejected,
      gradientNorm: results.gradientNorm,
      learningRate: this.#learningRate,
      tokens,
    };
  }

  #watch(metrics: DpoMetrics): void {
    const { window, minMargin, minChosenReward } = this.#options.config.stop;
    const last = { margin: metrics["rewards/margins"], chosen: metrics["rewards/chosen"] };
    this.#recent = [...this.#recent, last].slice(-window);
    if (this.#recent.length < window) return;
    const margin = mean(this.#recent.map((one) => one.margin));
    const chosen = mean(this.#recent.map((one) => one.chosen));
    if (margin < minMargin) throw new DpoCollapseError(metrics.step, "margin", margin, minMargin);
    if (chosen < minChosenReward) throw new DpoCollapseError(metrics.step, "chosen", chosen, minChosenReward);
  }

  /** Indices of the pairs that steps take, in the order of the data. */
  #taken(): number[] {
    const { pairs, config } = this.#options;
    if (config.steps >= this.#batches.perEpoch) return [...pairs.keys()];
    const found = new Set<number>();
    for (let step = 0; step < config.steps; step++) for (const index of this.#batches.batch(step)) found.add(index);
    return [...found].sort((a, b) => a - b);
  }

  #pairsAt(indices: readonly number[]): TokenPair[] {
    return indices.flatMap((index) => this.#options.pairs[index] ?? []);
  }

  /** The shape in which these pairs are read: one of a few that suit all batches of the run. */
  #shapeOf(indices: readonly number[]): RowShape {
    const { policy, config } = this.#options;
    const { pairsAtOnce, steps } = config;
    const needs = (part: readonly number[]): RowShape => batchNeeds(part.flatMap((index) => this.#needs[index] ?? []));
    if (this.#shapes === undefined) {
      const cost = rowCostOf(policy.config, pairsAtOnce);
      const batches = Array.from({ length: steps }, (_, step) =>
        partsOf(this.#batches.batch(step), pairsAtOnce).map(needs),
      ).flat();
      const [largest = needs(indices)] = rowShapesFor(batches, cost, 1);
      this.#shapes = rowShapesFor(batches, cost, mostShapesOf(policy.config, largest));
    }
    return smallestRowShape(this.#shapes, needs(indices));
  }

  #refuseIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Defaults of torch.optim.AdamW. */
const adam = { beta1: 0.9, beta2: 0.999 } as const;
const EPS = 1e-8;

/**
 * AdamW's epsilon in step 1, 2, ... The optimizer adds it to the corrected root of the second moment, as PyTorch does;
 * that of transformers before 5 added 1e-8 to the uncorrected root, which is the same as this much added to the corrected one.
 */
export function epsAt(optimizer: DpoConfig["optimizer"], step: number): number {
  return optimizer === "adamw" ? EPS : EPS / Math.sqrt(1 - adam.beta2 ** step);
}

type StepResults = { readonly [K in keyof DpoNodes | "gradientNorm"]: number };

function checkModels({ policy, reference, pairs, config }: DpoTrainerOptions): void {
  if (pairs.length < config.batchSize) throw new TooFewPairsError(pairs.length, config.batchSize);
  if (policy.config.vocabSize !== reference.config.vocabSize)
    throw new TuningModelError(
      `the policy has ${policy.config.vocabSize} tokens and the reference ${reference.config.vocabSize}: they must be the same model`,
    );
  if (policy.store === reference.store && policy.adapters === undefined)
    throw new TuningModelError("policy and reference share their weights: load the reference on its own");
  const isForeign = (ids: Int32Array): boolean => ids.some((id) => id >= policy.config.vocabSize);
  const foreign = pairs.findIndex((pair) =>
    [pair.chosen, pair.rejected].some(({ prompt, answer }) => isForeign(prompt) || isForeign(answer)),
  );
  if (foreign >= 0)
    throw new TuningModelError(
      `pair ${foreign} has a token id that the model's ${policy.config.vocabSize} tokens do not hold: its tokenizer belongs to another model`,
    );
}

function partsOf(batch: readonly number[], size: number): (readonly number[])[] {
  return Array.from({ length: Math.ceil(batch.length / size) }, (_, at) => batch.slice(at * size, (at + 1) * size));
}

function meansOf(results: readonly StepResults[]): StepResults {
  const of = (name: keyof StepResults): number => mean(results.map((one) => one[name]));
  return {
    loss: of("loss"),
    rewardsChosen: of("rewardsChosen"),
    rewardsRejected: of("rewardsRejected"),
    rewardsMargins: of("rewardsMargins"),
    rewardsAccuracies: of("rewardsAccuracies"),
    logpsChosen: of("logpsChosen"),
    logpsRejected: of("logpsRejected"),
    gradientNorm: of("gradientNorm"),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
