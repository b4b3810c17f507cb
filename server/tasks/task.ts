/**
 * What a task gives to the pipeline: feedback to tune with, contrastive triples to read the learned reward from, and what
 * the words are really worth, to hold the reading against.
 */
import { z } from "zod";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { RewardFunction } from "../rewards/reward.ts";

/** A text with the name of where it comes from, such as "imdb/test/17". */
export interface SourceText {
  readonly id: string;
  readonly text: string;
}

const sideSchema = z
  .strictObject({
    text: z.string(),
    /** The target word in lower case: the key of its value. */
    word: z.string().min(1),
    /** `text.slice(start, end)` is the target word as it is written, in UTF-16 units. */
    start: z.int().min(0),
    end: z.int().min(1),
  })
  .readonly();

/**
 * One sentence in three versions, equal but for the polar words: as the feedback likes it, as it is indifferent to it, and
 * as it dislikes it. The target is the first of those words, so that all three are equal up to it.
 */
export const tripleSchema = z
  .strictObject({
    id: z.string().min(1),
    /** The `SourceText` that it was made from. */
    source: z.string(),
    /** The version that is the source's own wording. */
    original: z.enum(["positive", "negative"]),
    positive: sideSchema,
    neutral: sideSchema,
    negative: sideSchema,
  })
  .readonly();

export type TripleSide = z.infer<typeof sideSchema>;
export type Triple = z.infer<typeof tripleSchema>;
export const sides = ["positive", "neutral", "negative"] as const;
export type Side = (typeof sides)[number];

/** What became of the texts that triples were asked of. */
export interface TripleCounts {
  readonly texts: number;
  /** Passages looked at: one or more a text. */
  readonly passages: number;
  /** Passages with words of this polarity and none of the other. */
  readonly positivePassages: number;
  readonly negativePassages: number;
  readonly triples: number;
  /** Different target words on each side. */
  readonly positiveWords: number;
  readonly neutralWords: number;
  readonly negativeWords: number;
  /** Triples whose three target words have equally many tokens; 0 where no tokenizer was given. */
  readonly equalTokens: number;
  /** Passages left out because their target is not among the chosen words, had its share already, or stands too far back. */
  readonly unlisted: number;
  readonly overCap: number;
  readonly tooLong: number;
}

export interface TripleSet {
  readonly triples: readonly Triple[];
  readonly counts: TripleCounts;
}

export interface TripleRequest {
  readonly seed: number;
  /** The model's tokenizer: replacements then have as many tokens as the word that they stand for, where possible. */
  readonly tokenizer?: Tokenizer;
  /** The most triples to make; all that the texts give unless told. */
  readonly limit?: number;
  /** Ends the work with its reason within the time of a text. */
  readonly signal?: AbortSignal;
}

/** A source of feedback, and how to ask a model what it learned of it. */
export interface Task {
  readonly name: string;
  readonly reward: RewardFunction;
  /** What a word is worth to the feedback, by its lower-case form; empty for a task that does not rate words. */
  readonly wordValues: ReadonlyMap<string, number>;
  /** Triples from texts; equal texts, settings and seed give equal triples. */
  makeTriples(texts: Iterable<SourceText>, request: TripleRequest): Promise<TripleSet>;
}
