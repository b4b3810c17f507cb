/** The words of strong sentiment, by the paper's rule (reference/method.md 1.8, step 1). */

export interface PolarWords {
  readonly positive: ReadonlySet<string>;
  readonly negative: ReadonlySet<string>;
}

/**
 * The lowest and the highest quarter of a lexicon of n keys, sorted by value with ties in file order: the first
 * ⌊n/4⌋ keys and those from ⌊3n/4⌋ on. Each cut falls inside a run of equal values, so of the words with that rating
 * some are in and some out.
 */
export function quartileWords(lexicon: ReadonlyMap<string, number>): PolarWords {
  const keys = [...lexicon].sort(([, a], [, b]) => a - b).map(([key]) => key);
  return {
    negative: new Set(keys.slice(0, Math.floor(0.25 * keys.length))),
    positive: new Set(keys.slice(Math.floor(0.75 * keys.length))),
  };
}
