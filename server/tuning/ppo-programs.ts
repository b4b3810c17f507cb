/** The compiled programs of PPO. Letters: B batch, M mini-batch, P prompt places, N completion places. */
import type { Random } from "../common/random.ts";
import type { Device, Program } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { createOptimizer, type Optimizer } from "../engine/optimizer.ts";
import { Generator } from "../models/generate.ts";
import { logitsOf, type Model, storesOf, trainedPartOf } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { createValueHead, type ValueHead } from "../models/value-head.ts";
import { type BatchShape, shapeOf } from "./completion-batch.ts";
import { CompletionScorer, completionStates, type PolicyScores } from "./completion-scorer.ts";
import type { PpoConfig } from "./ppo-config.ts";
import { ppoLoss } from "./ppo-loss.ts";
import type { Sampler } from "./rollout.ts";
import type { CompletionConfig } from "./sampling-config.ts";

/** Everything on the device that a trainer runs, besides the two models. */
export interface PpoPrograms {
  readonly shape: BatchShape;
  readonly head: ValueHead;
  readonly optimizer: Optimizer;
  readonly sampler: Sampler;
  readonly policyScorer: CompletionScorer<PolicyScores>;
  readonly referenceScorer: CompletionScorer;
  /** One optimizer step on M completions; returns every number of `LossNodes`. */
  readonly training: Program;
  dispose(): Promise<void>;
}

export interface PpoModels {
  readonly device: Device;
  /** The policy, trained in place: its adapters if it has any, all of its weights otherwise. */
  readonly policy: Model;
  /** The reference, never changed; a policy with adapters may share its weights. */
  readonly reference: Model;
  /** Ids without a token are never sampled. */
  readonly tokenizer: Pick<Tokenizer, "vocabSize" | "unusedIds">;
}

/** Models and settings that the programs are compiled for. */
export interface PpoProgramOptions extends PpoModels, CompletionConfig {
  readonly config: PpoConfig;
  readonly random: Random;
}

export async function compilePrograms(options: PpoProgramOptions): Promise<PpoPrograms> {
  const { device, policy, reference, tokenizer, config, sampling, random } = options;
  const shape = shapeOf(options);
  const { promptPlaces, completionPlaces } = shape;
  const { batchSize } = config;
  const { temperature } = sampling;
  const head = await createHead(device, policy.config.width, config, random);
  const optimizer = await createOptimizer(device, [...trainedPartOf(policy).parameters, ...head.parameters]);
  const sizes = { batch: batchSize, promptTokens: promptPlaces, maxNewTokens: completionPlaces };
  const sampler = await Generator.create(device, policy, { ...sizes, tokenizer });
  const scoring = { ...shape, rowsAtOnce: config.miniBatchSize, temperature };
  const policyScorer = await CompletionScorer.ofPolicy(device, policy, head, { ...scoring, frozen: false });
  // A frozen program has a copy of the weights; with adapters there is to be one of them.
  const frozen = policy.adapters === undefined;
  const referenceScorer = await CompletionScorer.create(device, reference, { ...scoring, frozen });
  const training = await compileTraining(options, { head, optimizer });
  const owned = [sampler, policyScorer, referenceScorer, training, head.store, optimizer.store];
  const dispose = async (): Promise<void> => {
    for (const part of owned) await part.dispose();
  };
  return { shape, head, optimizer, sampler, policyScorer, referenceScorer, training, dispose };
}

async function compileTraining(
  options: PpoProgramOptions,
  { head, optimizer }: Pick<PpoPrograms, "head" | "optimizer">,
): Promise<Program> {
  const { device, policy, config, sampling } = options;
  const M = config.miniBatchSize;
  const shape = shapeOf(options);
  const places = M * shape.completionPlaces;
  const states = completionStates(policy, M, shape);
  const logits = logitsOf(policy, states, 1 / sampling.temperature);
  const given = (name: string) => ops.input(name, [places]);
  const { loss, ...reported } = ppoLoss(
    {
      logProbs: ops.gatherLogProbs(logits, ops.input("targets", [places], "i32")),
      values: head.valuesOf(states),
      oldLogProbs: given("oldLogProbs"),
      oldValues: given("oldValues"),
      advantages: given("advantages"),
      returns: given("returns"),
      mask: given("mask"),
    },
    config,
  );
  const stores = [...storesOf(policy), head.store, optimizer.store];
  return device.compile({ stores, outputs: { loss, ...reported }, updates: [optimizer.update(loss)] });
}

/** Creates the value head: zero, or initialised as torch's Linear: weights and bias uniform within 1 / sqrt(D). */
async function createHead(device: Device, D: number, { valueHeadInit }: PpoConfig, random: Random): Promise<ValueHead> {
  if (valueHeadInit === "zero") return createValueHead(device, D);
  const own = random.fork("value head");
  const bound = 1 / Math.sqrt(D);
  const uniform = (length: number): Float32Array =>
    Float32Array.from({ length }, () => bound * (2 * own.uniform() - 1));
  return createValueHead(device, D, { weight: uniform(D), bias: uniform(1) });
}
