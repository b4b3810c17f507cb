/** Words of a passage that the feedback rates, as a reading has them. */
import type { Lens } from "../../lens/lens.ts";
import type { ReadOptions } from "../../lens/options.ts";
import type { ModeValues } from "../../lens/values.ts";
import { wordValuesOf } from "../../lens/word-values.ts";
import type { ReadingMode } from "../../protocol/reading-mode.ts";
import type { ScoredToken } from "../../rewards/word-ratings.ts";

/** Offsets are UTF-16 units of the passage's text. */
export interface RatedWord {
  readonly start: number;
  readonly end: number;
  /** What the feedback gives to it. */
  readonly rating: number;
  /** In the reading's own units. */
  readonly value: number;
  /** Whether the value is an extrapolation of the probe. */
  readonly isUnfamiliar: boolean;
}

/** By the same function as colours by word; and how many tokens were read. Throws what the reading throws. */
export async function ratedWords(
  lens: Lens,
  text: string,
  mode: ReadingMode,
  options: ReadOptions,
): Promise<{ readonly words: RatedWord[]; readonly read: number }> {
  const values = await wordValuesOf(lens, text, { kind: mode }, options);
  return { words: ratedOf(values, lens.ratings(text)), read: values.read };
}

/** Of words with values those that are rated. Words without a value, at a passage's start say, are left out. */
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
