/**
 * Settings of PPO fine-tuning. Names and meanings follow TRL 0.7.7, whose defaults the paper used (reference/method.md 1.2).
 * The descriptions are the documentation: they also reach the JSON Schema of the experiment file.
 */
import { z } from "zod";

/** A million of anything here takes weeks on any machine. */
const count = z.int().positive().max(1_000_000);
const share = z.number().min(0).max(1);

/** How the penalty for leaving the reference model is weighed. */
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

/** Every setting of PPO on its own; `PpoConfig` also checks them against each other. */
export const ppoFields = z.strictObject({
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
  promptTokens: tokenRange("tokens of a text that make a prompt; drawn for each text"),
  newTokens: tokenRange("tokens of a completion; drawn for each completion, an end of text may come sooner"),
  minTextCharacters: z
    .int()
    .nonnegative()
    .describe("Only texts longer than this give prompts (the paper's code: 200)."),
  prependBos: z.boolean().describe("Whether the model's beginning-of-text token stands before every prompt."),
  temperature: z
    .number()
    .positive()
    .max(10)
    .describe("Temperature of sampling, and of the probabilities learned from."),
  rewardText: z
    .enum(["completion", "full"])
    .describe("What is scored: the completion alone (the paper's code), or prompt and completion (the paper's text)."),
  stop: z
    .strictObject({
      minKl: z.number().negative().describe("A KL below this cannot be sampling noise: the run stops."),
      maxKl: z.number().positive().describe("A KL above this means that the policy has run away: the run stops."),
    })
    .readonly()
    .describe("Bounds on the mean KL per completion, in nats."),
});

/** Settings of PPO fine-tuning. */
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

/** Bounds of a uniform draw, both included. */
export interface TokenRange {
  readonly min: number;
  readonly max: number;
}

function tokenRange(what: string) {
  return z
    .strictObject({ min: count, max: count })
    .refine((range) => range.min <= range.max, { path: ["max"], error: "must not be below min" })
    .readonly()
    .describe(`Fewest and most ${what}, uniformly.`);
}

/**
 * The paper's settings for Pythia-70m, Pythia-160m and GPT-Neo-125m: batch 64, mini-batch 16, KL coefficient 0.5, gradient
 * norm 1, "remaining parameters set to the library defaults"; learning rate, schedule and lengths are those of its code. One
 * epoch of the 24,895 long reviews of IMDb's train split is 388 steps.
 */
const paper: PpoConfig = {
  steps: 388,
  batchSize: 64,
  miniBatchSize: 16,
  epochs: 4,
  learningRate: 1e-6,
  warmupSteps: 10,
  schedule: "linear",
  weightDecay: 0.01,
  maxGradientNorm: 1,
  gamma: 1,
  lambda: 0.95,
  clipRange: 0.2,
  valueClipRange: 0.2,
  valueCoefficient: 0.1,
  valueHeadInit: "torch",
  whitenRewards: false,
  ratioThreshold: 10,
  kl: { mode: "adaptive", coefficient: 0.5, target: 6, horizon: 10_000 },
  promptTokens: { min: 2, max: 9 },
  newTokens: { min: 8, max: 19 },
  minTextCharacters: 200,
  prependBos: false,
  temperature: 1,
  rewardText: "full",
  stop: { minKl: -1, maxKl: 30 },
};

/**
 * Sized for the starter model: about a minute on two cores. Where it leaves the paper's settings: a learning rate for 40 steps
 * in place of 388, larger mini-batches, and lambda 1, because each of the three moves a small model further for the same KL.
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
  prependBos: true,
};

/** Settings by name; `as-published` scores completions alone, as the paper's code does. */
export const ppoPresets = {
  "paper/pythia-70m/vader": paper,
  "paper/pythia-160m/vader": paper,
  "paper/gpt-neo-125m/vader": paper,
  "as-published": { ...paper, rewardText: "completion" },
  quick,
} as const satisfies Readonly<Record<string, PpoConfig>>;

/** The learning rate of PPO step 0, 1, ...: transformers' linear schedule with warm-up, stepped once a PPO step. */
export function learningRateAt({ learningRate, warmupSteps, schedule, steps }: PpoConfig, step: number): number {
  if (step < warmupSteps) return (learningRate * step) / warmupSteps;
  return schedule === "constant" ? learningRate : (learningRate * Math.max(0, steps - step)) / (steps - warmupSteps);
}
