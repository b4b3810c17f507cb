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

/** A lexicon: what words are worth to a source of feedback, on the lexicon's own scale. */
export interface WordRatings {
  /** Names the lexicon among those of its kind, such as "head". */
  readonly lexicon: string;
  /** By lower-case form, in the lexicon's order. */
  readonly values: ReadonlyMap<string, number>;
  /** The least and the greatest rating: the scale on which a probe reads implicit rewards. */
  readonly range: RatingRange;
  /** Most ratings are smaller in size: where colours of ratings are full. */
  readonly typicalSize: number;
  /** The rating from which a word counts as one of high reward. */
  readonly highReward: number;
  /** The words of a text that have a rating, in order. */
  rated(text: string): readonly ScoredToken[];
}

/** The feedback judges whole texts and rates no words, and something was asked of it that needs ratings. */
export class NoWordRatingsError extends LfpError {
  readonly code = "input";

  constructor(kind: string, what: string) {
    super(
      `${what} needs ratings of words, but a reward of kind "${kind}" rates none: it judges whole texts only. ` +
        "Give a reward that rates words, such as vader, or do without",
    );
  }
}
