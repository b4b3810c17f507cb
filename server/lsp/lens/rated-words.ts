/** Words of a passage that the feedback rates, with their values in a reading. */
import { contextOf } from "../../lens/answer-values.ts";
import type { Lens } from "../../lens/lens.ts";
import type { ReadOptions } from "../../lens/options.ts";
import { type ReadablePassage, unitValuesOf } from "../../lens/read-passage.ts";
import type { ModeValues } from "../../lens/values.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import type { ScoredToken } from "../../rewards/word-ratings.ts";

/** A rated word; offsets are UTF-16 units of the passage's text. */
export interface RatedWord {
  readonly start: number;
  readonly end: number;
  /** The feedback's rating of the word. */
  readonly rating: number;
  /** In the reading's own units. */
  readonly value: number;
  /** Whether the probe extrapolates here. */
  readonly isUnfamiliar: boolean;
}

/**
 * Reads a passage's rated words by the same function as the colours by word, and counts the tokens read. Throws what
 * the reading throws.
 */
export async function ratedWords(
  lens: Lens,
  passage: ReadablePassage,
  mode: ReadingMode,
  options: ReadOptions,
): Promise<{ readonly words: RatedWord[]; readonly read: number }> {
  const { text, from } = contextOf(passage);
  const values = await unitValuesOf(lens, passage, { mode: { kind: mode }, unit: "word" }, options);
  const ratings = lens.ratings(text).map((one) => ({ ...one, start: one.start - from, end: one.end - from }));
  return { words: ratedOf(values, ratings), read: values.read };
}

/** Selects the rated words. Leaves out words without a value, for instance at a passage's start. */
export function ratedOf(
  { starts, ends, values, unfamiliar }: Omit<ModeValues, "read">,
  ratings: readonly ScoredToken[],
): RatedWord[] {
  const byStart = new Map(ratings.map((rated) => [rated.start, rated]));
  const far = new Set(unfamiliar);
  return Array.from(starts).flatMap((start, at) => {
    const [rated, end, value] = [byStart.get(start), ends[at], values[at]];
    if (rated === undefined || rated.end !== end || value === null || value === undefined) return [];
    return [{ start, end, rating: rated.valence, value, isUnfamiliar: far.has(at) }];
  });
}
