/**
 * Settings of direct preference optimisation (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290). Names and meanings follow TRL 1.x. The
 * descriptions are the documentation: they also reach the JSON Schema of the experiment file.
 */
import { z } from "zod";
import { LoraConfig, loraInWords, withoutNullLora } from "./lora-config.ts";
import { DpoLossConfig } from "./pair-loss-config.ts";
import { PairTokensConfig, trlTokens } from "./pair-tokens-config.ts";
import { count } from "./sampling-config.ts";
import type { TuningKind } from "./tuning-kind.ts";

export { DpoLossConfig };

/** Source of the pairs; `dpo-pairs.ts` has one row for each. */
export const PairSourceConfig = z.discriminatedUnion("from", [
  z
    .strictObject({
      from: z
        .literal("reward")
        .describe("Completions of the base model, of which the reward likes one best and one least."),
      prompts: count.describe("Prompts of the tuning texts that are completed, at most."),
      completions: z
        .int()
        .min(2)
        .max(64)
        .describe("Completions of each prompt; the best is chosen, the worst rejected."),
      promptsAtOnce: z.int().positive().max(4096).describe("Prompts that are completed at once."),
    })
    .readonly(),
  z
    .strictObject({
      from: z.literal("data").describe("The pairs of the data, for tasks about pairs of answers."),
      tokens: PairTokensConfig.default(trlTokens).describe(
        "How a pair becomes tokens: trl-1 as TRL does since 1.0, trl-0.7.7 as the paper's code did.",
      ),
    })
    .readonly(),
]);
export type PairSourceConfig = z.infer<typeof PairSourceConfig>;

const dpoFields = z.strictObject({
  kind: z.literal("dpo").describe("The run tunes the base model by DPO on pairs of answers."),
  pairs: PairSourceConfig.describe("Where the pairs of answers come from."),
  steps: count.describe("Optimizer steps; pairs are gone through in epochs, each in an order of its own."),
  batchSize: count.describe("Pairs in one optimizer step."),
  pairsAtOnce: count.describe("Pairs on the device at once; must divide the batch size. Fewer need less memory."),
  beta: z
    .number()
    .positive()
    .max(100)
    .describe("How strongly the model is held to the reference; larger holds it more."),
  loss: DpoLossConfig.describe("What is learned from a pair: sigmoid (DPO), hinge (SLiC) or ipo."),
  reference: z
    .enum(["once", "live"])
    .describe("Whether the reference's log-probabilities are worked out once before training, or for every batch."),
  optimizer: z
    .enum(["adamw", "adamw-hf"])
    .default("adamw")
    .describe(
      "adamw, as PyTorch's; adamw-hf, as transformers had it before 5 and the paper's code used it: its epsilon weighs more in early steps.",
    ),
  learningRate: z.number().positive().max(1).describe("AdamW's learning rate after the warm-up."),
  warmupSteps: z
    .int()
    .nonnegative()
    .describe(
      "Steps over which the learning rate rises from 0; then it falls to 0 at the last step (linear schedule).",
    ),
  schedule: z.enum(["linear", "constant"]).describe("What the learning rate does after the warm-up."),
  weightDecay: z.number().nonnegative().describe("AdamW's decoupled weight decay, of all parameters (0 in TRL)."),
  maxGradientNorm: z.number().positive().describe("Gradients of every step are clipped to this global norm."),
  lora: LoraConfig,
  stop: z
    .strictObject({
      window: count.describe("Steps over which the two bounds below are averaged."),
      minMargin: z
        .number()
        .negative()
        .describe("A mean margin below this has collapsed: the model prefers what was rejected. The run stops."),
      minChosenReward: z
        .number()
        .negative()
        .describe(
          "A mean reward of chosen answers below this: the model no longer says what was chosen. The run stops.",
        ),
    })
    .readonly()
    .describe("Bounds on implicit rewards, beta times log-ratios."),
});

/** Settings of DPO, checked against each other. */
export const DpoConfig = dpoFields
  .refine((config) => config.batchSize % config.pairsAtOnce === 0, {
    path: ["pairsAtOnce"],
    error: "must divide batchSize",
  })
  .refine((config) => config.optimizer === "adamw" || config.weightDecay === 0, {
    path: ["weightDecay"],
    error: "must be 0 with adamw-hf, which decayed weights after the step",
  })
  .refine((config) => config.warmupSteps < config.steps, { path: ["warmupSteps"], error: "must be less than steps" })
  .readonly();
export type DpoConfig = z.infer<typeof DpoConfig>;

/** Part of keys since pairs are read packed: results before then differ by rounding. */
const readPacked = { pairsAs: "packed" } as const;

/** The facts about DPO that need no running. */
export const dpoTuning: TuningKind<DpoConfig> = {
  facts: ({ loss, beta, steps, batchSize, learningRate, pairs, lora, pairsAtOnce }) => ({
    inWords:
      `DPO (${loss.kind}, beta ${beta}), ${steps} steps of ${batchSize} pairs, learning rate ${learningRate}, on ` +
      `${pairsInWords(pairs)}${loraInWords(lora)}`,
    fewestTexts: { field: "batchSize", count: batchSize },
    steps,
    completions: pairs.from === "reward" ? pairs.prompts * pairs.completions : 2 * steps * batchSize,
    learnsFrom: pairs.from === "reward" ? "reward" : "pairs",
    preference: { beta, loss, tokens: pairs.from === "reward" ? trlTokens : pairs.tokens },
    memory: { lora, textsAtOnce: { field: "pairsAtOnce", count: 2 * pairsAtOnce } },
  }),
  withSteps: (config, steps) => ({ ...config, steps, warmupSteps: Math.min(config.warmupSteps, steps - 1) }),
  // Runs older than the choice of an optimizer have none in their keys.
  keyed: ({ optimizer, ...config }) => ({
    ...withoutNullLora(config),
    ...(optimizer === "adamw" ? {} : { optimizer }),
    ...readPacked,
  }),
};

function pairsInWords(pairs: PairSourceConfig): string {
  return pairs.from === "reward"
    ? `the best and the worst by the reward of ${pairs.completions} completions of each of up to ${pairs.prompts} prompts`
    : `the pairs of the data, as tokens by ${pairs.tokens.rule}`;
}

/**
 * Sized for the starter model: half a minute on two cores. The pairs are its own completions, ordered by the reward;
 * the learning rate suits 80 steps.
 */
const quick: DpoConfig = {
  kind: "dpo",
  pairs: { from: "reward", prompts: 1500, completions: 4, promptsAtOnce: 32 },
  steps: 80,
  batchSize: 32,
  pairsAtOnce: 32,
  beta: 0.1,
  loss: { kind: "sigmoid", labelSmoothing: 0 },
  reference: "once",
  optimizer: "adamw",
  learningRate: 3e-4,
  warmupSteps: 0,
  schedule: "linear",
  weightDecay: 0,
  maxGradientNorm: 1,
  lora: null,
  stop: { window: 10, minMargin: -5, minChosenReward: -20 },
};

/** What TRL's trainer and the paper's code have in common; steps, batches and learning rate are each task's own. */
const paper: DpoConfig = {
  ...quick,
  pairs: { from: "data", tokens: { rule: "trl-1", maxTokens: 256 } },
  steps: 5000,
  batchSize: 8,
  pairsAtOnce: 8,
  learningRate: 3e-5,
  warmupSteps: 150,
  stop: { window: 50, minMargin: -20, minChosenReward: -100 },
};

/** For pairs of one's own with the starter model: a minute on two cores. */
const own: DpoConfig = {
  ...paper,
  steps: 100,
  batchSize: 16,
  pairsAtOnce: 16,
  learningRate: 1e-4,
  warmupSteps: 10,
  stop: { window: 20, minMargin: -5, minChosenReward: -50 },
};

/** Presets of DPO's settings, by name. */
export const dpoPresets = { "quick-preferences": quick, paper, preferences: own } as const satisfies Readonly<
  Record<string, DpoConfig>
>;
