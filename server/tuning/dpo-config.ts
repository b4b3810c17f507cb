/**
 * Settings of direct preference optimisation (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290). Names and meanings follow TRL 1.x. The
 * descriptions are the documentation: they also reach the JSON Schema of the experiment file.
 */
import { z } from "zod";

/** A million of anything here takes weeks on any machine. */
const count = z.int().positive().max(1_000_000);

/** What of a pair's scores the loss is; `dpo-loss.ts` has a row for each. */
export const DpoLossConfig = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("sigmoid"),
      labelSmoothing: z
        .number()
        .min(0)
        .lt(0.5)
        .describe("Share of pairs that are taken to be labelled the wrong way round (conservative DPO); 0: none."),
    })
    .readonly(),
  z.strictObject({ kind: z.literal("hinge") }).readonly(),
  z.strictObject({ kind: z.literal("ipo") }).readonly(),
]);
export type DpoLossConfig = z.infer<typeof DpoLossConfig>;

/** How a pair's texts become tokens; `preference-tokens.ts` has a row for each. */
export const PairTokensConfig = z.discriminatedUnion("rule", [
  z
    .strictObject({
      rule: z.literal("trl-1"),
      maxTokens: count.describe("A prompt and its answer are cut to this many tokens, at the end (1,024 in TRL)."),
    })
    .readonly(),
  z
    .strictObject({
      rule: z.literal("trl-0.7.7"),
      maxTokens: count.describe(
        "Prompt and longer answer together; above it the prompt is cut (256 in the paper's code).",
      ),
      maxPromptTokens: count.describe(
        "What is kept of a prompt that is cut: its last tokens (128 in the paper's code).",
      ),
    })
    .readonly(),
]);
export type PairTokensConfig = z.infer<typeof PairTokensConfig>;

/** Every setting of DPO on its own; `DpoConfig` also checks them against each other. */
export const dpoFields = z.strictObject({
  steps: count.describe("Optimizer steps; pairs are gone through in epochs, each in an order of its own."),
  batchSize: count.describe("Pairs in one optimizer step."),
  pairsAtOnce: count.describe("Pairs on the device at once; must divide the batch size. Fewer need less memory."),
  beta: z
    .number()
    .positive()
    .max(100)
    .describe("How strongly the model is held to the reference; larger holds it more."),
  loss: DpoLossConfig.describe("What is learned from a pair: sigmoid (DPO), hinge (SLiC) or ipo."),
  tokens: PairTokensConfig.describe("How texts become tokens: by TRL 1.x, or as in the paper's code by TRL 0.7.7."),
  reference: z
    .enum(["once", "live"])
    .describe("Whether the reference's log-probabilities are worked out once before training, or for every batch."),
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

/** Settings of DPO. */
export const DpoConfig = dpoFields
  .refine((config) => config.batchSize % config.pairsAtOnce === 0, {
    path: ["pairsAtOnce"],
    error: "must divide batchSize",
  })
  .refine((config) => config.warmupSteps < config.steps, { path: ["warmupSteps"], error: "must be less than steps" })
  .refine(({ tokens }) => tokens.rule === "trl-1" || tokens.maxPromptTokens < tokens.maxTokens, {
    path: ["tokens", "maxPromptTokens"],
    error: "must be less than maxTokens",
  })
  .readonly();
export type DpoConfig = z.infer<typeof DpoConfig>;
