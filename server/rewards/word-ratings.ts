import { LfpError } from "../common/errors.ts";

/** A rated word of a text: `text.slice(start, end)`, in UTF-16 units. */
export interface ScoredToken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** The word's rating, before any scaling; the sign is that of the reward. */
  readonly valence: number;
}

/** The ends of a scale of ratings. */
export interface RatingRange {
  readonly low: number;
  readonly high: number;
}

/** A lexicon: a feedback's values of words, on the lexicon's own scale. */
export interface WordRatings {
  /** Name of the lexicon among those of its kind, such as "head". */
  readonly lexicon: string;
  /** By lower-case form, in the lexicon's order. */
  readonly values: ReadonlyMap<string, number>;
  /** The least and the greatest rating: the scale of a probe's implicit rewards. */
  readonly range: RatingRange;
  /** Absolute value that most ratings stay below, which is shown in full colour. */
  readonly typicalSize: number;
  /** The rating from which on a word counts as one of high reward. */
  readonly highReward: number;
  /** The words of a text that have a rating, in order. */
  rated(text: string): readonly ScoredToken[];
}

/** An operation needs ratings of words, but the feedback judges whole texts only. */
export class NoWordRatingsError extends LfpError {
  readonly code = "input";

  constructor(kind: string, what: string) {
    super(
      `${what} needs ratings of words, but a reward of kind "${kind}" rates none: it judges whole texts only. ` +
        "Give a reward that rates words, such as vader, or do without",
    );
  }
}
