/** The learned lexicon in the form of `learned.json`. */
import { z } from "zod";

const intervalled = z.strictObject({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});
const signs = z.strictObject({
  right: z.int(),
  of: z.int(),
  share: z.number().nullable(),
  low: z.number(),
  high: z.number(),
});

const learnedWordSchema = z.strictObject({
  word: z.string(),
  /** The feedback's rating of the word; no other number here depends on it. */
  rating: z.number(),
  places: z.int(),
  /** Number of texts that contain it. */
  texts: z.int(),
  /** Mean of the log-ratio over its places, in nats: above zero if tuning made the word likelier. */
  mean: z.number(),
  /** `mean` minus the centre. */
  centred: z.number(),
  /** 95 % bootstrap interval of `centred` over texts; null if too few resamples have the word. */
  low: z.number().nullable(),
  high: z.number().nullable(),
});

export const learnedSettingsSchema = z.strictObject({
  /** Minimum number of places for a word to enter the centre and the statistics over words. */
  minPlaces: z.int().positive(),
  resamples: z.int().positive(),
});

export const learnedSchema = z.strictObject({
  format: z.literal(1),
  settings: learnedSettingsSchema,
  texts: z.int(),
  /** Number of predicted tokens. */
  tokens: z.int(),
  places: z.int(),
  /** KL(tuned || base) in nats a token, with its bootstrap interval over texts. */
  kl: intervalled,
  /** Mean over words of their means: over those with enough places, or over all if none has. */
  centre: z.number(),
  /** Statistics of the centred means, over the words with enough places. */
  statistics: z.strictObject({
    words: z.int(),
    /** Kendall's tau-b with the rating; intervals by bootstrap over words. */
    tau: intervalled,
    /** Chance that a word rated positive stands above one rated negative. */
    auroc: intervalled,
    /** Wilson's intervals. */
    signs: z.strictObject({ positive: signs, negative: signs }),
  }),
  /** Words, those with most places first. */
  words: z.array(learnedWordSchema),
});

export type Learned = z.infer<typeof learnedSchema>;
export type LearnedWord = z.infer<typeof learnedWordSchema>;
export type LearnedSettings = z.infer<typeof learnedSettingsSchema>;
