/**
 * The results of a classification of liked and disliked answers, as plain JSON. A statistic that is undefined on the
 * data is null. All shares lie between 0 and 1.
 */
import { z } from "zod";

const count = z.int().min(0);
const maybe = z.number().nullable();
const share = z.number().min(0).max(1);

export const classificationSettingsSchema = z.strictObject({
  seed: z.int(),
  /** Folds by group: each group is tested once, by a probe that saw none of it. */
  folds: z.int().min(2).max(100),
  /** Folds within the training rows, by group too, which choose the strength of the penalty. */
  innerFolds: z.int().min(2).max(100),
  /** The values of C to choose from, ascending: the weight of the data against the penalty. */
  strengths: z.array(z.number().gt(0)).min(1).max(20),
  maxIterations: z.int().min(1).max(100_000),
  resamples: z.int().min(1).max(100_000),
  /** Number of fits to labels shuffled within the contrasts. */
  labelShuffles: z.int().min(0).max(1000),
  /** Words of the bag of words at most. */
  words: z.int().min(1).max(50_000),
  /** Contrasts count as matched in length up to this ratio of the longer answer's tokens to the shorter one's. */
  lengthRatio: z.number().min(1).max(10),
});

const estimateSchema = z.strictObject({
  value: maybe,
  /** Bootstrap interval over groups: a resample draws whole groups. */
  low: maybe,
  high: maybe,
});

/** Scores of held-out answers. */
export const answerScoresSchema = z.strictObject({
  /** Answers whose class is right; half is chance. */
  accuracy: estimateSchema,
  /** Chance that a liked answer scores above a disliked one, of any two. */
  auroc: estimateSchema,
  /** Contrasts whose liked answer scores above the disliked one; a tie counts half. */
  pairAccuracy: estimateSchema,
});

const spreadSchema = z.strictObject({ mean: maybe, low: maybe, high: maybe });

/** Names of what stands beside the probe: other inputs of the same classifier, with the same folds. */
export const baselineNames = ["length", "bagOfWords", "rawActivations", "baseModel", "logRatio"] as const;
export type BaselineName = (typeof baselineNames)[number];

export const classificationReportSchema = z.strictObject({
  kind: z.literal("classification"),
  settings: classificationSettingsSchema,
  contrasts: count,
  groups: count,
  features: z.strictObject({
    total: count,
    layers: z.array(z.strictObject({ layer: count, start: count, end: count })),
    nonZero: share,
  }),
  /** Number of answers of which tokens, or of whose prompts, were left out for length. */
  cut: count,
  /** Mean tokens of the answers. */
  tokens: z.strictObject({ liked: z.number(), disliked: z.number() }),
  /** Strength chosen in each fold, and for the saved probe. */
  strengths: z.strictObject({ folds: z.array(z.number()), probe: z.number() }),
  /** Fits whose iterations ran out. */
  unconverged: count,
  probe: answerScoresSchema,
  baselines: z.record(z.enum(baselineNames), answerScoresSchema.nullable()),
  /** AUROC of the probe minus that of each baseline, over the same resamples. */
  differences: z.record(z.enum(baselineNames), estimateSchema.nullable()),
  /** The probe fitted to shuffled labels: mean, lowest and highest over the shuffles. */
  shuffledLabels: z.strictObject({ shuffles: count, accuracy: spreadSchema, auroc: spreadSchema }),
  /** Contrasts whose answers are about equally long, with the scores of the same predictions on them. */
  lengthMatched: z.strictObject({
    contrasts: count,
    groups: count,
    probe: answerScoresSchema.nullable(),
    length: answerScoresSchema.nullable(),
  }),
  /** Neutral answers, which no fit saw: the share of them on the liked side, and their mean log-odds. */
  neutral: z.strictObject({ answers: count, liked: maybe, logOdds: maybe }).nullable(),
  /** 95th percentile of the absolute log-odds of single answers. */
  typicalSize: z.number().min(0),
  /** What the published code computes; null unless it was asked for. */
  asPublished: z
    .strictObject({
      trainRows: count,
      testRows: count,
      /** Test rows whose other answer was trained on. */
      sharedGroups: count,
      accuracy: maybe,
      auroc: maybe,
      converged: z.boolean(),
    })
    .nullable(),
});

export type ClassificationSettings = z.infer<typeof classificationSettingsSchema>;
export type AnswerScores = z.infer<typeof answerScoresSchema>;
export type Estimate = z.infer<typeof estimateSchema>;
export type ClassificationReport = z.infer<typeof classificationReportSchema>;

export const defaultClassificationSettings: ClassificationSettings = {
  seed: 0,
  folds: 5,
  innerFolds: 3,
  strengths: [1e-4, 1e-3, 1e-2, 1e-1, 1],
  maxIterations: 1000,
  resamples: 1000,
  labelShuffles: 10,
  words: 2000,
  lengthRatio: 1.1,
};
