/**
 * The probe's results as plain JSON. A statistic that is undefined on the data is null, and `undefinedBecause`
 * beside it gives the reason; NaN is never written. All shares lie between 0 and 1.
 */
import { z } from "zod";
import { classificationReportSchema } from "./classification-types.ts";

const count = z.int().min(0);
const maybe = z.number().nullable();
const share = z.number().min(0).max(1);
const reason = { undefinedBecause: z.string().nullable() };

const kendallSchema = z.strictObject({
  /** Kendall's tau-b, from -1 to 1. */
  tau: maybe,
  /** Two-sided p, under the hypothesis that both orders are independent. */
  p: maybe,
  method: z.enum(["exact", "asymptotic"]),
  words: count,
  ...reason,
});

const intervalSchema = z.strictObject({
  low: maybe,
  high: maybe,
  confidence: share,
  /** Number of bootstrap resamples of the words. */
  resamples: count,
  /** Resamples on which the statistic was undefined; they are left out. */
  undefinedResamples: count,
});

const proportionSchema = z.strictObject({
  right: z.number().min(0),
  of: count,
  share: maybe,
  /** Wilson's interval. */
  low: share,
  high: share,
  confidence: share,
});

const rankingSchema = z.strictObject({
  /** Pairs of words of this polarity whose true values differ. */
  pairs: count,
  /** Pairs in the true order; ties count half. */
  right: z.number().min(0),
  /** right / pairs; 0.5 is chance. */
  share: maybe,
});

/** Agreement of predictions with values, in the values' own units. */
const agreementSchema = z.strictObject({
  /** Pearson's correlation. */
  pearson: maybe,
  pearsonInterval: intervalSchema,
  /** 1 - sum of squared errors / sum of squares about the mean; below 0: worse than the mean. */
  r2: maybe,
  r2Interval: intervalSchema,
});

/** Tau-b of one input minus that of another over the same words, with a bootstrap interval over words. */
const differenceSchema = z.strictObject({
  difference: maybe,
  interval: intervalSchema,
  /** Number of draws of folds that the difference is averaged over. */
  foldDraws: count,
});

/** Predictions of words against their true values. */
export const wordScoresSchema = z.strictObject({
  words: count,
  positiveWords: count,
  negativeWords: count,
  /** Test rows behind the words; a word's prediction is the mean over its rows. */
  occurrences: count,
  kendall: kendallSchema.extend({
    interval: intervalSchema,
    /** Two-sided p, from random orders of the words. */
    permutationP: maybe,
    permutations: count,
  }),
  kendallPositiveOnly: kendallSchema,
  kendallNegativeOnly: kendallSchema,
  /** Tau of the two lists of strings: the number that the paper's notebooks print. It measures nothing meaningful. */
  stringTauAsPublished: kendallSchema,
  stringTauNegativeOnlyAsPublished: kendallSchema,
  signsAlone: z.strictObject({
    /** Tau-b of the predictions' signs alone: the part of tau that knowing the polarity gives. */
    tau: maybe,
    p: maybe,
    /** Tau-b that the predictions would have if shuffled within each predicted sign; the rest is order within a polarity. */
    shuffledTau: maybe,
    ...reason,
  }),
  /** Words whose prediction has the sign of their value; a prediction of 0 counts as wrong (Table 5). */
  signAccuracy: z.strictObject({ positive: proportionSchema, negative: proportionSchema }),
  samePolarityRanking: z.strictObject({ positive: rankingSchema, negative: rankingSchema }),
  spearman: z.strictObject({ rho: maybe, p: maybe, words: count, ...reason }),
  /** Chance that a positive word is predicted above a negative one; free of any threshold. */
  auroc: z.strictObject({ value: maybe, ...reason }),
  /** Null if an earlier version scored the words. */
  agreement: agreementSchema.nullable().default(null),
});

export const lexiconEntrySchema = z.strictObject({
  word: z.string(),
  predicted: z.number(),
  true: z.number(),
  occurrences: count,
  /** Count of the word in the tuning texts; null if those were not given. */
  tuningCount: count.nullable(),
  /** The feedback's rating of the word, if `true` is something else. */
  rating: maybe.default(null),
});

const spreadSchema = z.strictObject({ mean: maybe, sd: maybe });

/** Means and standard deviations over seeds. */
export const seedScoresSchema = z.strictObject({
  seeds: count,
  tau: spreadSchema,
  positiveSignAccuracy: spreadSchema,
  negativeSignAccuracy: spreadSchema,
});

const splitReportSchema = z.strictObject({
  split: z.strictObject({
    kind: z.enum(["triple", "word"]),
    folds: z.array(
      z.strictObject({ trainRows: count, testRows: count, testWords: count, testWordsSeenInTraining: count }),
    ),
  }),
  probe: wordScoresSchema,
  /** The reconstructed lexicon, in alphabetical order. */
  lexicon: z.array(lexiconEntrySchema),
  /** The same ridge probe on the encoded activations themselves; null where they were not collected. */
  rawActivations: wordScoresSchema.nullable(),
  /** The same probe on features of the model before tuning. */
  baseModel: wordScoresSchema.nullable(),
  /**
   * The same probe on the base model's token embeddings: one vector a word, no context. Null if they were not given.
   */
  staticEmbedding: wordScoresSchema.nullable().default(null),
  /** Tau-b on features minus that on each other input; null if an earlier version fitted the probe. */
  differences: z
    .strictObject({
      rawActivations: differenceSchema.nullable(),
      baseModel: differenceSchema.nullable(),
      staticEmbedding: differenceSchema.nullable(),
    })
    .nullable()
    .default(null),
  /**
   * Split by word only: further draws of its folds, and refits to permuted labels of the words. Null for the split
   * by triple, and if an earlier version fitted the probe.
   */
  refitted: z
    .strictObject({
      foldDraws: count,
      /** Tau-b of each draw; the first equals that of `probe`, up to rounding. */
      taus: z.array(maybe),
      tau: spreadSchema,
      refits: count,
      /** Standard deviation of the mean tau over draws, under permuted labels. */
      permutedSd: maybe,
      /** 95th percentile of the absolute mean tau under permuted labels. */
      permutedHigh: maybe,
      /** Two-sided p. */
      p: maybe,
    })
    .nullable()
    .default(null),
  /** For log-ratio targets: scores of these predictions, and of the log-ratios themselves, against the ratings. */
  meant: z.strictObject({ probe: wordScoresSchema, target: wordScoresSchema }).nullable().default(null),
  /** A probe with random weights (Xavier), rescaled as published. */
  untrainedProbe: seedScoresSchema,
  /** Probes fitted to deltas shuffled among the training rows. */
  shuffledLabels: seedScoresSchema,
  /**
   * Probes fitted to a random sign for every word and scored on those signs: how much of the score a probe of this
   * size reaches by memorising words (a control task in the sense of Hewitt and Liang 2019).
   */
  wordMemory: z.strictObject({ seeds: count, signAccuracy: spreadSchema }),
  /** Figure 4: log(1 + count in the tuning texts) against |predicted - true|. */
  frequencyAndError: z.strictObject({ rho: maybe, p: maybe, words: count, ...reason }),
});

export const probeSettingsSchema = z.strictObject({
  seed: z.int(),
  /** The probe's target: the activation deltas (the paper), or log pi_tuned - log pi_base at the word. */
  target: z.enum(["deltas", "logRatio"]).default("deltas"),
  /** Ridge penalty. */
  alpha: z.number().positive(),
  /**
   * What is rescaled to the reward's range: the deltas before fitting (the paper), the deltas with zero kept at
   * zero, or the predictions after fitting (its code).
   */
  normalise: z.enum(["deltas", "deltasKeepingZero", "predictions"]),
  /** Share of the triples to train on in the split by triple. */
  trainShare: z.number().gt(0).lt(1),
  // Upper bounds: larger values change no displayed digit, and one part of the evaluation would take minutes.
  wordFolds: z.int().min(2).max(1000),
  resamples: z.int().min(1).max(100_000),
  permutations: z.int().min(1).max(100_000),
  xavierSeeds: z.int().min(0).max(1000),
  labelShuffles: z.int().min(0).max(1000),
  /** Number of draws of the split by word that tau is averaged over. */
  foldDraws: z.int().min(1).max(100).default(1),
  /** Number of fits to permuted labels of the words, which give the p of that mean. */
  refits: z.int().min(0).max(10_000).default(0),
});

/** Results of a regression on word ratings. */
export const regressionReportSchema = z.strictObject({
  kind: z.literal("regression"),
  settings: probeSettingsSchema,
  triples: count,
  features: z.strictObject({
    total: count,
    layers: z.array(z.strictObject({ layer: count, start: count, end: count })),
    /** Share of the polar rows' features that are not zero. */
    nonZero: share,
  }),
  /** 10th and 90th percentile of all targets: deltas in the units of the features, or log-ratios in nats. */
  deltas: z.strictObject({ low: z.number(), high: z.number() }),
  byTriple: splitReportSchema,
  byWord: splitReportSchema,
});

/** Results of a probe's evaluation, by the kind of probe. */
export const probeReportSchema = z.discriminatedUnion("kind", [regressionReportSchema, classificationReportSchema]);

export type KendallReport = z.infer<typeof kendallSchema>;
export type WordScores = z.infer<typeof wordScoresSchema>;
export type LexiconEntry = z.infer<typeof lexiconEntrySchema>;
export type PairedDifference = z.infer<typeof differenceSchema>;
export type Agreement = z.infer<typeof agreementSchema>;
export type SeedScores = z.infer<typeof seedScoresSchema>;
export type SplitReport = z.infer<typeof splitReportSchema>;
export type ProbeSettings = z.infer<typeof probeSettingsSchema>;
export type ProbeReport = z.infer<typeof probeReportSchema>;
export type ProbeKind = ProbeReport["kind"];
export type RegressionReport = Extract<ProbeReport, { kind: "regression" }>;

export const defaultProbeSettings: ProbeSettings = {
  seed: 0,
  target: "deltas",
  alpha: 1,
  normalise: "deltas",
  trainShare: 0.8,
  wordFolds: 5,
  resamples: 2000,
  permutations: 9999,
  xavierSeeds: 100,
  labelShuffles: 10,
  foldDraws: 5,
  refits: 499,
};
