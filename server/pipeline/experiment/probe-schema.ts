/** Triples and probe: how the learned reward is read from the tuned model. */
import { z } from "zod";
import { probeSettingsSchema } from "../../probe/report-types.ts";
import type { TripleSettings } from "../../tasks/sentiment/triples.ts";

/** A count, at most the maximum number of rows of a file of texts. */
const count = z
  .int()
  .positive()
  .max(2 ** 22);

const extentSchema = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("firstSentence").describe("the first sentence of each text, as the published code takes it."),
    })
    .readonly(),
  z
    .strictObject({ kind: z.literal("everySentence").describe("every sentence: several times as many triples.") })
    .readonly(),
  z
    .strictObject({
      kind: z.literal("firstTokens").describe("the beginning of each text, as the paper's text takes whole entries."),
      tokens: count.describe("How long a beginning is, in words and punctuation marks."),
    })
    .readonly(),
]);

/** Settings of `makeSentimentTriples`. */
const sentimentTriples = {
  extent: extentSchema.describe(
    "What of a text may become a triple: a passage with positive or with negative words, but not both.",
  ),
  wordsPerList: count.describe(
    "How many positive and how many negative words may be targets: those that the texts use most (the paper's test split has 180 and 128).",
  ),
  maxPerWord: count.describe("How often a word may be the positive, or the negative, target."),
  maxTargetTokens: count.describe("The most tokens up to and with the target."),
  minNeutralCount: count.describe(
    "How often a word must occur in the texts, in lower case, to serve as a neutral one.",
  ),
} satisfies { [Field in keyof TripleSettings]: z.ZodType<TripleSettings[Field]> };

/** Contrastive triples of the task `sentiment`. */
export const triplesSchema = z
  .strictObject({
    texts: z
      .enum(["analysis", "tuning"])
      .describe(
        "Texts that triples are made from: those of analysis (the paper's text), or those of tuning (its published code).",
      ),
    ...sentimentTriples,
    limit: count.nullable().describe("The most triples; null: all that the texts give."),
  })
  .readonly()
  .describe(
    "Contrastive triples: a passage as the feedback likes it, as it is indifferent to it, and as it dislikes it.",
  );

/** The log-ratio of tuned and base model over the analysis texts. */
export const learnedSchema = z
  .strictObject({
    texts: count.describe("The most analysis texts that both models read."),
    tokens: z
      .int()
      .min(8)
      .max(2 ** 17)
      .describe("How many tokens of each text they read; no more than the model's context holds."),
    minPlaces: count.describe(
      "How many places a word must have in these texts for its mean to count in the statistics over words.",
    ),
  })
  .readonly()
  .describe(
    "What tuning made likelier: the log-ratio of tuned and base model at every rated word. It needs no labels.",
  );

const { alpha, normalise, trainShare, wordFolds, resamples, permutations, xavierSeeds, labelShuffles } =
  probeSettingsSchema.shape;
const { foldDraws, refits } = probeSettingsSchema.shape;

/** Settings of the probe and of its input. The seed is the run's. */
export const probeSchema = z
  .strictObject({
    model: z
      .enum(["tuned", "base"])
      .describe(
        "The model whose activations are read, through the tuned model's autoencoders: the tuned one (the paper's text) or the base one (its code).",
      ),
    multiToken: z
      .enum(["average", "firstPiece"])
      .describe(
        "Features of a word of several tokens: their mean over its tokens (the paper's text), or those of the first (its code).",
      ),
    alpha: alpha.describe("Ridge penalty (1 in the published code)."),
    normalise: normalise.describe(
      "What is rescaled to the range of ratings: the activation deltas before fitting (the paper's text), the same with a delta of 0 kept at a reward of 0, " +
        "or the predictions after fitting (its code).",
    ),
    trainShare: trainShare.describe(
      "Share of the triples to train on where the split is by triple (0.8 in the published code).",
    ),
    wordFolds: wordFolds.describe(
      "Groups of words, each tested by a probe that saw none of its words, where the split is by word.",
    ),
    resamples: resamples.describe("Bootstrap draws of words behind each interval."),
    permutations: permutations.describe("Random orders of the words behind each permutation p."),
    xavierSeeds: xavierSeeds.describe("Untrained probes of random weights, for comparison (1 in the published code)."),
    labelShuffles: labelShuffles.describe("Probes fitted to shuffled deltas, for comparison."),
    foldDraws: foldDraws.describe(
      "How often the words are dealt into folds anew: tau by word is also given as a mean over these draws.",
    ),
    refits: refits.describe(
      "Fits to permuted labels of the words, in every draw of folds, behind the p of that mean; 0 leaves it out.",
    ),
  })
  .readonly()
  .describe("The probe that reads the implicit reward. It is always evaluated on both splits, by triple and by word.");
