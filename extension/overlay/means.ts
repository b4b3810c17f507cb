/** Means of values over stretches of a text: sentences, paragraphs, records. Independent of VS Code. */
import type { ReadPassage } from "../../server/protocol/lens.ts";
import type { Interval } from "./colour-stretches.ts";

/** A stretch with the mean of the words or tokens in it that have a value. */
export interface MeanOf extends Interval {
  /** Null if none has a value. */
  readonly mean: number | null;
  readonly count: number;
}

/**
 * Mean over passages, or over what of them lies within `part`. With `fades`, words or tokens unfamiliar to the probe do
 * not count.
 */
export function meanOver(
  passages: readonly ReadPassage[],
  fades: boolean,
  part: Interval = { start: 0, end: Number.POSITIVE_INFINITY },
): MeanOf {
  let [sum, count, start, end] = [0, 0, Number.POSITIVE_INFINITY, 0];
  for (const passage of passages) {
    const { starts, ends, values, unfamiliar } = passage.tokens;
    const faded = new Set(fades ? unfamiliar : []);
    start = Math.min(start, Math.max(passage.start, part.start));
    end = Math.max(end, Math.min(passage.end, part.end));
    for (const [at, value] of values.entries()) {
      const isWithin = (starts[at] ?? 0) >= part.start && (ends[at] ?? 0) <= part.end;
      if (value === null || !isWithin || faded.has(at)) continue;
      sum += value;
      count += 1;
    }
  }
  return { start: Math.min(start, end), end, mean: count === 0 ? null : sum / count, count };
}

/**
 * One mean per group of passages, in the order of each group's first passage; `groupOf` gives the group, such as the
 * line of a record.
 */
export function meansByGroup(
  passages: readonly ReadPassage[],
  groupOf: (passage: ReadPassage) => number,
  fades: boolean,
): MeanOf[] {
  return [...Map.groupBy(passages, groupOf).values()].map((group) => meanOver(group, fades));
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** One mean per sentence of a passage whose text in the document is `text`; sentences without values are left out. */
export function meansBySentence(passage: ReadPassage, text: string, fades: boolean): MeanOf[] {
  return [...segmenter.segment(text)]
    .map(({ segment, index }) => {
      const start = passage.start + index + segment.length - segment.trimStart().length;
      // A token may begin with the space before it.
      const within = { start: passage.start + index - 1, end: passage.start + index + segment.length };
      return { ...meanOver([passage], fades, within), start, end: passage.start + index + segment.trimEnd().length };
    })
    .filter(({ count }) => count > 0);
}
