import type { TokenRange } from "../models/tokenizer.ts";

/** A word that the feedback rates, at `start` to `end` of a text (UTF-16 units). */
export interface RatedWord {
  /** Lower-cased. */
  readonly word: string;
  readonly rating: number;
  readonly start: number;
  readonly end: number;
}

/** A word's pieces in a row of token ids: `from` to `to` (excluded). */
export interface WordPlace extends Pick<RatedWord, "word" | "rating"> {
  readonly from: number;
  readonly to: number;
}

/**
 * Finds the pieces of rated words. `ranges` are the text's tokens, of which the model reads `tokens`, after a prefix
 * of the given number of ids. Leaves out words that the model does not read to their end, and a word whose first
 * piece has nothing before it, since no prediction of it exists.
 */
export function wordPlaces(
  words: readonly RatedWord[],
  ranges: readonly TokenRange[],
  { prefix, tokens }: { readonly prefix: number; readonly tokens: number },
): WordPlace[] {
  const places: WordPlace[] = [];
  let at = 0;
  for (const { word, rating, start, end } of words) {
    while ((ranges[at]?.end ?? Number.POSITIVE_INFINITY) <= start) at += 1;
    let after = at;
    while ((ranges[after]?.start ?? Number.POSITIVE_INFINITY) < end) after += 1;
    if (after > at && after <= tokens && prefix + at > 0)
      places.push({ word, rating, from: prefix + at, to: prefix + after });
  }
  return places;
}
