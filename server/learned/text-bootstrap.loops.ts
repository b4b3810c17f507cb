/**
 * Places by text: those of text t are `starts[t]` to `starts[t + 1]` of `word`, `sum` and `count`, one entry for
 * each of its words.
 */
export interface PlacesByText {
  readonly starts: Int32Array;
  readonly word: Int32Array;
  readonly sum: Float64Array;
  readonly count: Float64Array;
}

/** Adds up sums and counts of every word over the drawn texts; `drawn` counts how often each text was drawn. */
export function addDrawn(
  { starts, word, sum, count }: PlacesByText,
  drawn: Uint16Array,
  sums: Float64Array,
  counts: Float64Array,
): void {
  sums.fill(0);
  counts.fill(0);
  for (let text = 0; text < drawn.length; text++) {
    const times = drawn[text]!;
    if (times === 0) continue;
    for (let at = starts[text]!; at < starts[text + 1]!; at++) {
      sums[word[at]!]! += times * sum[at]!;
      counts[word[at]!]! += times * count[at]!;
    }
  }
}
