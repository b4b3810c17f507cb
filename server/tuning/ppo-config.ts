/**
 * Settings of PPO fine-tuning. Names and meanings follow TRL 0.7.7, whose defaults the paper used (reference/method.md 1.2).
 * The descriptions are the documentation: they also reach the JSON Schema of the experiment file.
 */
import { z } from "zod";
import { LoraConfig, loraInWords, withoutNullLora } from "./lora-config.ts";
import { count } from "./sampling-config.ts";
import type { TuningKind } from "./tuning-kind.ts";

const share = z.number().min(0).max(1);

/** How the KL penalty's coefficient is set. */
export const KlConfig = z.discriminatedUnion("mode", [
  z
    .strictObject({
      mode: z.literal("adaptive"),
      coefficient: z.number().nonnegative().describe("Weight of the penalty at the first step."),
      target: z
        .number()
        .positive()
        .describe("KL per completion, in nats, that the coefficient is steered towards (6 in TRL)."),
      horizon: count.describe("Completions over which the coefficient is steered; larger is slower (10,000 in TRL)."),
    })
    .readonly(),
  z
    .strictObject({
      mode: z.literal("fixed"),
      coefficient: z.number().nonnegative().describe("Weight of the penalty at every step."),
    })
    .readonly(),
]);
export type KlConfig = z.infer<typeof KlConfig>;

const ppoFields = z.strictObject({
  kind: z.literal("ppo").describe("The run tunes the base model by PPO on the reward."),
  steps: count.describe("PPO steps: batches sampled, scored and learned from."),
  batchSize: count.describe("Completions sampled in a step."),
  miniBatchSize: count.describe("Completions in one optimizer step; must divide the batch size."),
  epochs: count.describe("How often a step goes over its batch."),
  learningRate: z.number().positive().max(1).describe("AdamW's learning rate after the warm-up."),
  warmupSteps: z
    .int()
    .nonnegative()
    .describe(
      "PPO steps over which the learning rate rises from 0; then it falls to 0 at the last step (linear schedule).",
    ),
  schedule: z.enum(["linear", "constant"]).describe("What the learning rate does after the warm-up."),
  weightDecay: z.number().nonnegative().describe("AdamW's decoupled weight decay (0.01 in torch)."),
  maxGradientNorm: z.number().positive().describe("Gradients of every mini-batch are clipped to this global norm."),
  lora: LoraConfig,
  gamma: share.describe("Discount of the reward of later tokens."),
  lambda: share.describe("Decay of generalized advantage estimation."),
  clipRange: z.number().positive().max(1).describe("Probability ratios are clipped to 1 plus or minus this."),
  valueClipRange: z.number().positive().describe("New values are clipped to the old ones plus or minus this."),
  valueCoefficient: z.number().nonnegative().describe("Weight of the value loss beside the policy loss."),
  valueHeadInit: z
    .enum(["zero", "torch"])
    .describe("Values start at 0, or from torch's default for a Linear (uniform, within 1 / sqrt(width)), as in TRL."),
  whitenRewards: z.boolean().describe("Divide the per-token rewards of a batch by their deviation (TRL: false)."),
  ratioThreshold: z
    .number()
    .positive()
    .describe("A mini-batch whose mean probability ratio is above this teaches nothing (10 in TRL)."),
  kl: KlConfig.describe("The penalty for leaving the reference model."),
  stop: z
    .strictObject({
      minKl: z.number().negative().describe("A KL below this cannot be sampling noise: the run stops."),
      maxKl: z.number().positive().describe("A KL above this means that the policy has run away: the run stops."),
    })
    .readonly()
    .describe("Bounds on the mean KL per completion, in nats."),
});

/** Settings of PPO fine-tuning, checked against each other. */
export const PpoConfig = ppoFields
  .refine((config) => config.batchSize % config.miniBatchSize === 0, {
    path: ["miniBatchSize"],
    error: "must divide batchSize",
  })
  .refine((config) => config.warmupSteps < config.steps, { path: ["warmupSteps"], error: "must be less than steps" })
  .refine((config) => config.kl.mode === "fixed" || config.kl.target < config.stop.maxKl, {
    path: ["stop", "maxKl"],
    error: "must be above kl.target",
  })
  .readonly();
export type PpoConfig = z.infer<typeof PpoConfig>;

/**
 * The paper's settings for Pythia-70m, Pythia-160m and GPT-Neo-125m: batch 64, mini-batch 16, KL coefficient 0.5,
 * gradient norm 1, "remaining parameters set to the library defaults"; learning rate and schedule from its code. One
 * epoch of the 24,895 long reviews of IMDb's train split is 388 steps.
 */
const paper: PpoConfig = {
  kind: "ppo",
  steps: 388,
  batchSize: 64,
  miniBatchSize: 16,
  epochs: 4,
  learningRate: 1e-6,
  warmupSteps: 10,
  schedule: "linear",
  weightDecay: 0.01,
  maxGradientNorm: 1,
  lora: null,
  gamma: 1,
  lambda: 0.95,
  clipRange: 0.2,
  valueClipRange: 0.2,
  valueCoefficient: 0.1,
  valueHeadInit: "torch",
  whitenRewards: false,
  ratioThreshold: 10,
  kl: { mode: "adaptive", coefficient: 0.5, target: 6, horizon: 10_000 },
  stop: { minKl: -1, maxKl: 30 },
};

/**
 * Sized for the starter model: about a minute on two cores. It differs from the paper's settings in a learning rate
 * for 40 steps instead of 388, larger mini-batches, and lambda 1, because each of the three moves a small model
 * further for the same KL.
 */
const quick: PpoConfig = {
  ...paper,
  steps: 40,
  miniBatchSize: 32,
  epochs: 2,
  learningRate: 3e-4,
  warmupSteps: 0,
  lambda: 1,
  valueHeadInit: "zero",
  kl: { mode: "fixed", coefficient: 0.2 },
};

/** Presets of PPO's settings, by name. */
export const ppoPresets = { paper, quick } as const satisfies Readonly<Record<string, PpoConfig>>;

/** The facts about PPO that need no running. */
export const ppoTuning: TuningKind<PpoConfig> = {
  facts: ({ kl, steps, batchSize, miniBatchSize, learningRate, lora }) => {
    const penalty =
      kl.mode === "fixed"
        ? `a KL penalty of ${kl.coefficient}`
        : `a KL penalty from ${kl.coefficient} towards ${kl.target} nats a completion`;
    return {
      inWords: `PPO, ${steps} steps of ${batchSize} completions, learning rate ${learningRate}, ${penalty}${loraInWords(lora)}`,
      fewestTexts: { field: "batchSize", count: batchSize },
      steps,
      completions: steps * batchSize,
      learnsFrom: "reward",
      preference: null,
      memory: { lora, textsAtOnce: { field: "miniBatchSize", count: miniBatchSize } },
    };
  },
  withSteps: (config, steps) => ({ ...config, steps, warmupSteps: Math.min(config.warmupSteps, steps - 1) }),
  keyed: ({ kind: _, ...settings }) => withoutNullLora(settings),
};

/** Learning rate of step 0, 1, ...: transformers' linear schedule with warm-up. */
export function learningRateAt(
  {
    learningRate,
    warmupSteps,
    schedule,
    steps,
  }: Pick<PpoConfig, "learningRate" | "warmupSteps" | "schedule" | "steps">,
  step: number,
): number {
  if (step < warmupSteps) return (learningRate * step) / warmupSteps;
  return schedule === "constant" ? learningRate : (learningRate * Math.max(0, steps - step)) / (steps - warmupSteps);
}
