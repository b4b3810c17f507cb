/** The learned lexicon as `learned.json` holds it. */
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
  /** What the feedback says of it; no other number here knows of it. */
  rating: z.number(),
  places: z.int(),
  /** Texts that have it. */
  texts: z.int(),
  /** Of the log-ratio over its places, in nats: above zero where tuning made the word likelier. */
  mean: z.number(),
  /** `mean` less the centre. */
  centred: z.number(),
  /** 95 % interval of `centred`, by bootstrap over texts; null where too few resamples have the word. */
  low: z.number().nullable(),
  high: z.number().nullable(),
});

export const learnedSettingsSchema = z.strictObject({
  /** Places that a word needs to count in the statistics over words and in the centre. */
  minPlaces: z.int().positive(),
  resamples: z.int().positive(),
});

export const learnedSchema = z.strictObject({
  format: z.literal(1),
  settings: learnedSettingsSchema,
  texts: z.int(),
  /** Tokens that were predicted. */
  tokens: z.int(),
  places: z.int(),
  /** KL(tuned || base) in nats a token, with its interval over texts. */
  kl: intervalled,
  /** Mean over words of their means: over those with enough places, or all where none has. */
  centre: z.number(),
  /** Over the words with enough places, by their centred means. */
  statistics: z.strictObject({
    words: z.int(),
    /** Kendall's tau-b with the rating; intervals by bootstrap over words. */
    tau: intervalled,
    /** That a word rated positive stands above one rated negative. */
    auroc: intervalled,
    /** Wilson's intervals. */
    signs: z.strictObject({ positive: signs, negative: signs }),
  }),
  /** The words with most places first. */
  words: z.array(learnedWordSchema),
});

export type Learned = z.infer<typeof learnedSchema>;
export type LearnedWord = z.infer<typeof learnedWordSchema>;
export type LearnedSettings = z.infer<typeof learnedSettingsSchema>;
