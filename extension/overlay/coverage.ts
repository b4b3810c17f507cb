/** Tracks which parts of a document have been read. Independent of VS Code. */
import type { Interval } from "./colour-stretches.ts";

/** Sorted intervals that neither overlap nor touch. */
export type Coverage = readonly Interval[];

export function withInterval(coverage: Coverage, { start, end }: Interval): Coverage {
  const apart = coverage.filter((part) => part.end < start || part.start > end);
  const touching = coverage.filter((part) => part.end >= start && part.start <= end);
  const joined = {
    start: Math.min(start, ...touching.map((part) => part.start)),
    end: Math.max(end, ...touching.map((part) => part.end)),
  };
  return [...apart, joined].sort((one, other) => one.start - other.start);
}

/** The parts of the wanted intervals that are not covered, in the order of `wanted`. */
export function missing(coverage: Coverage, wanted: readonly Interval[]): Interval[] {
  return wanted.flatMap((whole) => {
    const gaps: Interval[] = [];
    let from = whole.start;
    for (const { start, end } of coverage) {
      if (end <= from || start >= whole.end) continue;
      if (start > from) gaps.push({ start: from, end: start });
      from = Math.max(from, end);
    }
    if (from < whole.end) gaps.push({ start: from, end: whole.end });
    return gaps;
  });
}
