import { z } from "zod";

const count = z.int().positive();

/** What keeps few features active: a penalty on their sum, or a fixed number of them. */
const sparsitySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("l1"),
    /** Weight of the mean over tokens of the feature sum. It is relative to the reconstruction loss as `mse` says. */
    coefficient: z.number().nonnegative(),
  }),
  z.strictObject({
    kind: z.literal("topk"),
    /** Features that may be active at a token (Gao et al. 2024, https://arxiv.org/abs/2406.04093). */
    k: count,
  }),
]);

/**
 * How autoencoders are trained. Defaults are the paper's text (section 3.2); what the published code does otherwise is named, and
 * `asPublished` sets it.
 */
export const saeConfigSchema = z.strictObject({
  /** Dictionary sizes as multiples of the model's width, smallest first: the paper compares one and two. */
  multiples: z
    .array(z.number().positive())
    .min(1)
    .refine(
      (all) => all.every((multiple, at) => at === 0 || multiple > (all[at - 1] ?? 0)),
      "sizes must grow from first to last",
    )
    .default([1, 2]),
  sparsity: sparsitySchema.default({ kind: "l1", coefficient: 0.5 }),
  /** Whether the decoder is the encoder transposed, as in the paper. */
  tied: z.boolean().default(true),
  /**
   * Reconstruction loss of a token: `sum` is the squared Euclidean distance of the paper's equation, `mean` divides it by the width as the
   * published code does. A coefficient under `mean` therefore weighs `width` times as much under `sum`.
   */
  mse: z.enum(["sum", "mean"]).default("sum"),
  /** Adam with betas 0.9 and 0.999 and eps 1e-8. */
  learningRate: z.number().positive().max(1).default(1e-3),
  /** Tokens of one optimizer step. */
  batchTokens: count.default(2048),
  /** Passes over the texts. */
  epochs: count.default(1),
  /** Training ends after so many tokens when the passes hold more; null: no such end. */
  maxTokens: count.nullable().default(null),
  /** Texts are cut to so many tokens. */
  contextLength: count.default(256),
  /** Whether padding is kept out. The published code trains on it, up to the longest text of a batch. */
  maskPadding: z.boolean().default(true),
  /** Whether texts and tokens are mixed. The published code goes through a file that is sorted by label. */
  shuffle: z.boolean().default(true),
  /** Token places whose activations are held at once to be mixed. Memory: places x width x 4 bytes for each layer of each model. */
  bufferTokens: count.default(32_768),
  /** A feature that has not fired for so many tokens counts as dead. */
  deadAfterTokens: count.default(100_000),
});

export type SaeConfig = Readonly<z.infer<typeof saeConfigSchema>>;
export type Sparsity = SaeConfig["sparsity"];

/** The published code's ways, for a comparison with its numbers: method notes D8 and D9. */
export const asPublished: Partial<SaeConfig> = {
  sparsity: { kind: "l1", coefficient: 0.001 },
  mse: "mean",
  maskPadding: false,
  shuffle: false,
  epochs: 3,
};
