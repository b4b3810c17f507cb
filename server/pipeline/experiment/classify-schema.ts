/** Contrasts of pairs of answers, and the probe that classifies them. */
import { z } from "zod";
import { classificationSettingsSchema } from "../../probe/classification-types.ts";

/** A count, at most the maximum number of rows of a file of texts. */
const count = z
  .int()
  .positive()
  .max(2 ** 22);

/** Liked and disliked answers of a task of pairs. */
export const contrastsSchema = z
  .strictObject({
    pairs: z
      .enum(["heldOut", "analysis", "tuning"])
      .describe(
        "Pairs that contrasts are made from: those kept out of tuning, those of analysis, or those tuned on, whose preference the model may have memorised.",
      ),
    file: z
      .string()
      .regex(/\.jsonl(\.gz)?$/i, { error: "must end in .jsonl or .jsonl.gz" })
      .nullable()
      .describe(
        "Contrasts of your own instead, such as `lfp pairs grade` writes; relative to the experiment file. null: the pairs themselves, with an answer to another prompt as the neutral one.",
      ),
    limit: count.nullable().describe("The most contrasts; of more, a random sample. null: all."),
    maxTokens: z
      .int()
      .min(8)
      .max(2 ** 17)
      .describe(
        "How many tokens of prompt and answer the models read, no more than their context holds. Of a longer text the prompt loses its beginning, and an answer longer than half its end.",
      ),
  })
  .readonly()
  .describe("Liked, disliked and neutral answers to the same prompts, for tasks of pairs.");

const { folds, innerFolds, strengths, maxIterations, resamples, labelShuffles, words, lengthRatio } =
  classificationSettingsSchema.shape;

/** Settings of the classification probe. The seed is the run's. */
export const classifySchema = z
  .strictObject({
    folds: folds.describe("Groups of prompts, each tested by a probe that saw no answer to them."),
    innerFolds: innerFolds.describe("Groups of prompts within the training rows, by which the penalty is chosen."),
    strengths: strengths
      .readonly()
      .describe("Weights of the data against the penalty (scikit-learn's C) to choose from, ascending."),
    maxIterations: maxIterations.describe("Steps of a fit at most."),
    resamples: resamples.describe("Bootstrap draws of prompts behind each interval."),
    labelShuffles: labelShuffles.describe("Fits to labels exchanged at random within the pairs, for comparison."),
    words: words.describe("Words of the bag of words, for comparison."),
    lengthRatio: lengthRatio.describe(
      "Up to which ratio of their numbers of tokens two answers count as equally long, for the scores on such pairs alone.",
    ),
    asPublished: z
      .boolean()
      .describe(
        "Whether to compute beside it what the paper's published code does: answers without prompts, cut to 128 tokens, means over padding too, rows split without regard to prompts, no scaling.",
      ),
  })
  .readonly()
  .describe("The probe that tells liked answers from disliked ones, for tasks of pairs.");
