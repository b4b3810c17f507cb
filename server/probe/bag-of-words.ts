/** Counts of words in texts: what a classifier reaches without any model. */
import { byCodeUnit } from "../common/order.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";

export interface BagOfWords {
  /** Words in alphabetical order, one column each. */
  readonly words: readonly string[];
  /** [texts, words] */
  counts(texts: readonly string[]): RowMatrix;
}

export interface BagOptions {
  /** Fewest texts that a word must occur in. */
  readonly minTexts: number;
  /** Maximum number of words: the most frequent ones. */
  readonly most: number;
}

/**
 * The words of some texts, as `sklearn.feature_extraction.text.CountVectorizer` finds them (`min_df` texts,
 * `max_features` words): in lower case, of two letters, digits or underscores at least. Of words with the same count,
 * the first ones in alphabetical order stay.
 */
export function bagOfWords(texts: readonly string[], { minTexts, most }: BagOptions): BagOfWords {
  const totals = new Map<string, { texts: number; count: number }>();
  for (const text of texts) {
    for (const [word, count] of countsOf(text)) {
      const total = totals.get(word) ?? { texts: 0, count: 0 };
      totals.set(word, { texts: total.texts + 1, count: total.count + count });
    }
  }
  const words = [...totals]
    .filter(([, total]) => total.texts >= minTexts)
    .sort(([a, { count: many }], [b, { count: others }]) => others - many || byCodeUnit(a, b))
    .slice(0, most)
    .map(([word]) => word)
    .sort(byCodeUnit);
  const columnOf = new Map(words.map((word, column) => [word, column]));
  return {
    words,
    counts: (some) => {
      const data = new Float32Array(some.length * words.length);
      for (const [row, text] of some.entries()) {
        for (const [word, count] of countsOf(text)) {
          const column = columnOf.get(word);
          if (column !== undefined) data[row * words.length + column] = count;
        }
      }
      return rowMatrix(data, some.length, words.length);
    },
  };
}

function countsOf(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word] of text.toLowerCase().matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Python's `\b\w\w+\b`. */
const WORD = /[\p{L}\p{N}_]{2,}/gu;
