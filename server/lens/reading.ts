/** A lens's reading of a passage. */
import type { TokenDetail } from "../protocol/lens.ts";
import { isUnfamiliar } from "./familiarity.ts";
import { columnOf, type SparseRows } from "./sparse.loops.ts";

/**
 * A passage's tokens with their values, as arrays of length N. A token here is the smallest range of whole
 * characters that the model reads as one: the two or three byte tokens of one emoji become one, with the mean of
 * their values. The ranges tile the text.
 */
export interface Reading {
  /** UTF-16 offsets in the passage's text. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The probe's output. */
  readonly implicit: Float64Array;
  /** The output before clamping to the range of rewards; a word's value is computed from its tokens' ones. */
  readonly outputs: Float64Array;
  /**
   * Fold whose probe gave the output: the one that held out the token's word; -1: the probe itself, for words that
   * it was not fitted on.
   */
  readonly folds: Int32Array;
  /** The feedback's rating of the word that a token belongs to; null if it has none. */
  readonly trueReward: readonly (number | null)[];
  /** Leverage of a token's features divided by the limit; see `isUnfamiliar`. Undefined if unknown. */
  readonly familiarity: Float64Array | undefined;
  /** Features that the probe reads, at the columns that `Lens.featureAt` names. */
  readonly features: SparseRows;
}

/** Features of one dictionary on a passage. */
export interface DictionaryReading extends Pick<Reading, "starts" | "ends" | "features"> {}

/** A feature's contribution to a token's value: weight times activation. */
export interface Contribution {
  readonly column: number;
  readonly activation: number;
  readonly weight: number;
  readonly contribution: number;
}

/**
 * The contributions to one token's value, largest absolute value first; with the intercept they sum to the probe's
 * output before clamping.
 */
export function contributionsAt(
  { features }: Pick<Reading, "features">,
  token: number,
  weights: Float64Array,
): Contribution[] {
  const [start = 0, end = 0] = [features.rowStarts[token], features.rowStarts[token + 1]];
  const all = Array.from({ length: end - start }, (_, at): Contribution => {
    const column = features.columns[start + at] ?? 0;
    const activation = features.values[start + at] ?? 0;
    const weight = weights[column] ?? 0;
    return { column, activation, weight, contribution: weight * activation };
  });
  return all.sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution) || a.column - b.column);
}

/** Tokens at which the probe's output is an extrapolation, ascending. */
export function unfamiliarTokens({ familiarity }: Pick<Reading, "familiarity">): number[] {
  return [...(familiarity ?? []).entries()].flatMap(([token, ratio]) => (isUnfamiliar(ratio) ? [token] : []));
}

/** One feature's activation at every token. */
export function activationsOf({ features }: Pick<Reading, "features">, column: number): Float64Array {
  return columnOf(features, column);
}

/** The token that an offset of the text belongs to; undefined beyond the text. */
export function tokenAt({ starts, ends }: Pick<Reading, "starts" | "ends">, offset: number): number | undefined {
  let [low, high] = [0, starts.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (offset < (starts[middle] ?? 0)) high = middle - 1;
    else if (offset >= (ends[middle] ?? 0)) low = middle + 1;
    else return middle;
  }
  return undefined;
}

/** Approximate memory of a reading. */
export function bytesOfReading({ starts, features, ...rest }: DictionaryReading | Reading): number {
  const perToken = "implicit" in rest ? 52 : 8;
  return 256 + starts.length * perToken + 4 * features.rowStarts.length + 8 * features.columns.length;
}

export type ShownPart = Omit<TokenDetail["contributions"][number], "explanation">;

/**
 * The value of a word or token with its largest contributions, for display; the caller adds explanations and the
 * base model's reading.
 */
export type TokenExplanation = Omit<TokenDetail, "tokens" | "contributions" | "learned" | "fitted" | "missing"> & {
  readonly contributions: readonly ShownPart[];
};

/** The fitted log-ratio of a word with its largest contributions, for display. */
export type FittedExplanation = Omit<NonNullable<TokenDetail["fitted"]>, "contributions"> & {
  readonly contributions: readonly ShownPart[];
};
