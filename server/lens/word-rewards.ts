import type { ScoredToken } from "../rewards/word-ratings.ts";

interface Stretches {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/**
 * For each range of a text, the rating of the first rated word that it is a part of; null if there is none. Both are
 * in order.
 */
export function wordRewards({ starts, ends }: Stretches, words: readonly ScoredToken[]): (number | null)[] {
  const values: (number | null)[] = [];
  let at = 0;
  for (const [token, start] of starts.entries()) {
    while ((words[at]?.end ?? Number.POSITIVE_INFINITY) <= start) at += 1;
    const word = words[at];
    values.push(word !== undefined && word.start < (ends[token] ?? 0) ? word.valence : null);
  }
  return values;
}
