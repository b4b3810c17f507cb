import { z } from "zod";

const count = z.int().positive();
/** Upper bound: more than the largest corpora that language models are trained on. */
const corpusTokens = count.max(1e13);
/** Upper bound: the activations of these tokens, or values computed from them, are in memory at once. */
const heldTokens = count.max(2 ** 26);

/** How training keeps few features active: a penalty on their sum, a fixed number of them at a token or in a batch, or learned thresholds. */
const sparsitySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("l1").describe("a penalty on the sum of the features, as in the paper."),
    coefficient: z
      .number()
      .nonnegative()
      .describe("Weight of the mean over tokens of the feature sum, relative to the reconstruction loss as mse says."),
  }),
  z.strictObject({
    kind: z.literal("topk").describe("a fixed number of features."),
    k: count.describe("Features that may be active at a token (Gao et al. 2024, https://arxiv.org/abs/2406.04093)."),
  }),
  z.strictObject({
    kind: z
      .literal("batchtopk")
      .describe("a fixed number of features in each batch of tokens: the largest of all; one threshold once trained."),
    k: z
      .number()
      .positive()
      .describe(
        "Features that are active at a token, in the mean over a batch (Bussmann et al. 2024, https://arxiv.org/abs/2412.06410).",
      ),
    thresholdRate: z
      .number()
      .positive()
      .max(1)
      .default(0.01)
      .describe(
        "Weight of a step in the running mean of the smallest active feature, the threshold of the finished dictionary; 0.01 if it is not said.",
      ),
  }),
  z.strictObject({
    kind: z
      .literal("jumprelu")
      .describe("a learned threshold for each feature, and a penalty on the number of features."),
    coefficient: z
      .number()
      .nonnegative()
      .describe(
        "Weight of the mean over tokens of the number of active features, relative to the reconstruction loss as mse says (Rajamanoharan et al. " +
          "2024, https://arxiv.org/abs/2407.14435).",
      ),
    threshold: z
      .number()
      .positive()
      .max(1e6)
      .default(0.01)
      .describe("Where every feature's threshold starts; 0.01 if it is not said."),
    bandwidth: z
      .number()
      .positive()
      .max(1e6)
      .default(0.05)
      .describe("Features within half of it around their threshold move the threshold; 0.05 if it is not said."),
  }),
]);

/**
 * Settings of the autoencoders' training. Defaults follow the paper's text (section 3.2); where the published code
 * differs, the description says so and `asPublished` sets it. The descriptions are the documentation: they also
 * reach the JSON Schema of the experiment file.
 */
export const saeConfigSchema = z.strictObject({
  multiples: z
    .array(z.number().positive().max(1024))
    .min(1)
    .max(8)
    .refine(
      (all) => all.every((multiple, at) => at === 0 || multiple > (all[at - 1] ?? 0)),
      "sizes must grow from first to last",
    )
    .default([1, 2])
    .describe("Dictionary sizes as multiples of the model's width, smallest first: the paper compares one and two."),
  sparsity: sparsitySchema.default({ kind: "l1", coefficient: 0.5 }).describe("What keeps few features active."),
  tied: z.boolean().default(true).describe("Whether the decoder is the encoder transposed, as in the paper."),
  mse: z
    .enum(["sum", "mean"])
    .default("sum")
    .describe(
      "Reconstruction loss of a token: sum is the squared Euclidean distance of the paper's equation, mean divides it by the width as the " +
        "published code does. A coefficient under mean therefore weighs as much as width times that coefficient under sum.",
    ),
  learningRate: z
    .number()
    .positive()
    .max(1)
    .default(1e-3)
    .describe("Learning rate of Adam with betas 0.9 and 0.999 and eps 1e-8."),
  batchTokens: heldTokens.default(2048).describe("Tokens of one optimizer step."),
  epochs: count.max(10_000).default(1).describe("Passes over the texts."),
  maxTokens: corpusTokens
    .nullable()
    .default(null)
    .describe("Training ends after so many tokens when the passes hold more; null: no such end."),
  contextLength: count
    .max(2 ** 17)
    .default(256)
    .describe("Texts are cut to so many tokens."),
  maskPadding: z
    .boolean()
    .default(true)
    .describe("Whether padding is kept out. The published code trains on it, up to the longest text of a batch."),
  shuffle: z
    .boolean()
    .default(true)
    .describe("Whether texts and tokens are mixed. The published code goes through a file that is sorted by label."),
  bufferTokens: heldTokens
    .default(32_768)
    .describe(
      "Token places whose activations are held at once to be mixed. Memory: places x width x 4 bytes for each layer of each model.",
    ),
  deadAfterTokens: corpusTokens
    .default(100_000)
    .describe("A feature that has not fired for so many tokens counts as dead."),
});

export type SaeConfig = Readonly<z.infer<typeof saeConfigSchema>>;
export type Sparsity = SaeConfig["sparsity"];

/** The published code's settings, for a comparison with its numbers: method notes D8 and D9. */
export const asPublished: Partial<SaeConfig> = {
  sparsity: { kind: "l1", coefficient: 0.001 },
  mse: "mean",
  maskPadding: false,
  shuffle: false,
  epochs: 3,
};

/** The number of features of a dictionary that is `multiple` times as large as its model is wide. */
export function featuresOf(width: number, multiple: number): number {
  return Math.round(multiple * width);
}
