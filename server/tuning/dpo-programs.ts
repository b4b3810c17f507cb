/** The compiled programs of DPO. Letters: P pairs on the device at once. */
import type { Device, Program } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { createGradientSum, createOptimizer, type GradientSum, type Optimizer } from "../engine/optimizer.ts";
import { type Model, storesOf, trainedPartOf } from "../models/model.ts";
import type { DpoConfig } from "./dpo-config.ts";
import { dpoLoss } from "./dpo-loss.ts";
import { halves, PairScorer, pairLogProbs } from "./pair-batch.ts";
import type { RowShape } from "./row-shapes.ts";

export interface DpoModels {
  readonly device: Device;
  /** The policy, trained in place: its adapters if it has any, all of its weights otherwise. */
  readonly policy: Model;
  /** The reference, never changed; a policy with adapters may share its weights. */
  readonly reference: Model;
}

/** The programs of one shape. */
export interface ShapedPrograms {
  /**
   * Computes the gradients of P pairs: applies them at once if a step has no more pairs, otherwise adds them to the
   * sum. Returns every number of `DpoNodes`.
   */
  readonly training: Program;
  readonly reference: PairScorer | undefined;
}

/** A frozen program has a copy of the weights and is faster; with adapters there is to be one copy of them. */
export function freezesReference({ adapters }: Pick<Model, "adapters">): boolean {
  return adapters === undefined;
}

/** Number of shapes of a run, whose programs are cached: each has its own activations in memory, so large ones share one. */
export function mostShapesOf({ vocabSize }: Pick<Model["config"], "vocabSize">, { scoredPlaces }: RowShape): number {
  return scoredPlaces * vocabSize > largeLogits ? 1 : mostShapes;
}

const mostShapes = 3;
/** Logits of a large shape: 128 MiB. */
const largeLogits = 2 ** 25;

/**
 * Everything on the device that a trainer runs, besides the two models. Compiles the programs of a shape when a
 * batch first needs it.
 */
export class DpoPrograms {
  readonly #models: DpoModels;
  readonly #config: DpoConfig;
  readonly #programs = new Map<string, ShapedPrograms>();
  readonly optimizer: Optimizer;
  /** Undefined if a step's pairs fit on the device at once. */
  readonly gradients: GradientSum | undefined;
  #step: Program | undefined;

  private constructor(models: DpoModels, config: DpoConfig, optimizer: Optimizer, gradients: GradientSum | undefined) {
    this.#models = models;
    this.#config = config;
    this.optimizer = optimizer;
    this.gradients = gradients;
  }

  static async create(models: DpoModels, config: DpoConfig): Promise<DpoPrograms> {
    const optimizer = await createOptimizer(models.device, trainedPartOf(models.policy).parameters);
    const atOnce = config.pairsAtOnce === config.batchSize;
    const gradients = atOnce ? undefined : await createGradientSum(models.device, optimizer);
    return new DpoPrograms(models, config, optimizer, gradients);
  }

  /** The programs of a shape; evicts the least recently used ones when the cache is full. */
  async of(shape: RowShape): Promise<ShapedPrograms> {
    const key = `${shape.tokens} ${shape.rowPlaces} ${shape.scoredPlaces}`;
    const found = this.#programs.get(key) ?? (await this.#compile(shape));
    this.#programs.delete(key);
    this.#programs.set(key, found);
    const [oldest] = this.#programs;
    if (this.#programs.size > mostShapes && oldest !== undefined) {
      this.#programs.delete(oldest[0]);
      await disposeOf(oldest[1]);
    }
    return found;
  }

  /** Compiles a step on accumulated gradients, divided by the number of means in the sum. */
  async step(gradients: GradientSum): Promise<Program> {
    const { device, policy } = this.#models;
    const factor = this.#config.pairsAtOnce / this.#config.batchSize;
    const stores = [trainedPartOf(policy).store, this.optimizer.store, gradients.store];
    this.#step ??= await device.compile({ stores, outputs: {}, updates: [gradients.step(factor)] });
    return this.#step;
  }

  async dispose(): Promise<void> {
    for (const programs of this.#programs.values()) await disposeOf(programs);
    await this.#step?.dispose();
    await this.gradients?.store.dispose();
    await this.optimizer.store.dispose();
  }

  async #compile(shape: RowShape): Promise<ShapedPrograms> {
    const { device, policy, reference } = this.#models;
    const P = this.#config.pairsAtOnce;
    const nodes = dpoLoss(
      {
        policy: pairLogProbs(policy, P, shape),
        reference: halves(ops.input("reference", [2 * P]), P),
        lengths: halves(ops.input("lengths", [2 * P]), P),
      },
      this.#config,
    );
    const { gradients, optimizer } = this;
    const training = await device.compile({
      stores: [...storesOf(policy), optimizer.store, ...(gradients === undefined ? [] : [gradients.store])],
      outputs: { ...nodes },
      updates: gradients === undefined ? [optimizer.update(nodes.loss)] : gradients.add(nodes.loss),
    });
    const live = this.#config.reference === "live";
    return {
      training,
      reference: live
        ? await PairScorer.create(device, reference, { shape, pairs: P, frozen: freezesReference(policy) })
        : undefined,
    };
  }
}

async function disposeOf({ training, reference }: ShapedPrograms): Promise<void> {
  await training.dispose();
  await reference?.dispose();
}
