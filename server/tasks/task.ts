/**
 * What a task gives to the pipeline: contrastive triples to read the learned reward from, and what the words are really
 * worth, to hold the reading against.
 */
import { z } from "zod";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { WordRatings } from "../rewards/word-ratings.ts";

/** A text with the name of where it comes from, such as "imdb/test/17". */
export interface SourceText {
  readonly id: string;
  readonly text: string;
}

/** A place of a text: `text.slice(start, end)`, in UTF-16 units. */
export interface Span {
  readonly text: string;
  readonly start: number;
  readonly end: number;
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

/** What is read of triples, in the order of `TripleFeatures`: all positive versions, all negative ones, all neutral ones. */
export function spansOf(triples: readonly Triple[]): readonly TripleSide[] {
  return (["positive", "negative", "neutral"] as const).flatMap((side) => triples.map((triple) => triple[side]));
}

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

/** How to ask a model what it learned of its feedback. */
export interface Task {
  readonly name: string;
  /** What words are worth to the feedback. */
  readonly ratings: WordRatings;
  /** Triples from texts; equal texts, settings and seed give equal triples. */
  makeTriples(texts: Iterable<SourceText>, request: TripleRequest): Promise<TripleSet>;
}
