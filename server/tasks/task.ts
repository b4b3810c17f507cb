/**
 * A task's contribution to the pipeline: contrastive triples to read the learned reward from, and the feedback's
 * values of words to compare the reading with.
 */
import { z } from "zod";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { WordRatings } from "../rewards/word-ratings.ts";

/** A text with the name of its source, such as "imdb/test/17". */
export interface SourceText {
  readonly id: string;
  readonly text: string;
}

/** A range of a text: `text.slice(start, end)`, in UTF-16 units. */
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
    /** `text.slice(start, end)` is the target word in the text's letter case, in UTF-16 units. */
    start: z.int().min(0),
    end: z.int().min(1),
  })
  .readonly();

/**
 * One sentence in three versions that differ only in their polar words: one that the feedback likes, one that leaves
 * it indifferent, one that it dislikes. The target is the first of those words, so all three are equal before it.
 */
export const tripleSchema = z
  .strictObject({
    id: z.string().min(1),
    /** Name of the `SourceText` that it was made from. */
    source: z.string(),
    /** Which version is the source's own wording. */
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

/** Outcomes of making triples from texts, as counts. */
export interface TripleCounts {
  readonly texts: number;
  /** Number of passages examined: one or more a text. */
  readonly passages: number;
  /** Passages with words of this polarity and none of the other. */
  readonly positivePassages: number;
  readonly negativePassages: number;
  readonly triples: number;
  /** Number of distinct target words of each polarity. */
  readonly positiveWords: number;
  readonly neutralWords: number;
  readonly negativeWords: number;
  /** Triples whose three target words have the same number of tokens; 0 without a tokenizer. */
  readonly equalTokens: number;
  /**
   * Passages left out because their target is not among the chosen words, has reached its maximum of uses, or is too
   * far from the beginning.
   */
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
  /** The model's tokenizer: with it, replacements have as many tokens as the replaced word where possible. */
  readonly tokenizer?: Tokenizer;
  /** Maximum number of triples; without it, all that the texts give. */
  readonly limit?: number;
  /** Aborts the work within the time of one text, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A task: how to ask a model what it learned of its feedback. */
export interface Task {
  readonly name: string;
  /** The feedback's values of words. */
  readonly ratings: WordRatings;
  /** Makes triples from texts; equal texts, settings and seed give equal triples. */
  makeTriples(texts: Iterable<SourceText>, request: TripleRequest): Promise<TripleSet>;
}
