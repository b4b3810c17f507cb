/**
 * Settings of sampling and scoring, which every kind of tuning and every measurement of completions shares. The
 * descriptions are the documentation: they also reach the JSON Schema of the experiment file.
 */
import { z } from "zod";

/** Upper bound: a million of anything here takes weeks on any machine. */
export const count = z.int().positive().max(1_000_000);

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

/** Settings of how texts become prompts, and prompts completions. */
export const SamplingConfig = z
  .strictObject({
    promptTokens: tokenRange("tokens of a text that make a prompt; drawn for each text"),
    newTokens: tokenRange("tokens of a completion; drawn for each completion, an end of text may come sooner"),
    minTextCharacters: z
      .int()
      .nonnegative()
      .describe("Only texts longer than this give prompts (the paper's code: 200)."),
    temperature: z
      .number()
      .positive()
      .max(10)
      .describe("Temperature of sampling, and of the probabilities learned from."),
    rows: count.describe(
      "Prompts that are completed at once where models are compared; tuning has batches of its own.",
    ),
    scoredRows: count.describe(
      "Completions whose probabilities are worked out at once where models are compared: the vocabulary's logits are held for so many.",
    ),
  })
  .readonly();
export type SamplingConfig = z.infer<typeof SamplingConfig>;

/** Settings of how the models read texts. */
export const TextConfig = z
  .strictObject({
    prependBos: z
      .boolean()
      .describe("Whether the model's beginning-of-text token stands before every prompt, passage and text."),
  })
  .readonly();
export type TextConfig = z.infer<typeof TextConfig>;

/** All settings for making and completing prompts. */
export interface CompletionConfig {
  readonly sampling: SamplingConfig;
  readonly text: TextConfig;
}

/** The lengths of the paper's code. */
export const paperSampling: SamplingConfig = {
  promptTokens: { min: 2, max: 9 },
  newTokens: { min: 8, max: 19 },
  minTextCharacters: 200,
  temperature: 1,
  rows: 64,
  scoredRows: 16,
};
