/** Words of a passage that the feedback rates, as a reading has them. */
import type { Lens } from "../../lens/lens.ts";
import type { ReadOptions } from "../../lens/options.ts";
import { type PairReading, wordsOf } from "../../lens/pair-reading.ts";
import type { Reading } from "../../lens/reading.ts";
import { valuesOf } from "../../lens/values.ts";
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
  /** Leverage over its limit; 0 where it is not known, or the reading is not the probe's. */
  readonly familiarity: number;
}

/** And how many tokens the text has. Throws what the reading throws. */
export async function ratedWords(
  lens: Lens,
  text: string,
  mode: ReadingMode,
  options: ReadOptions,
): Promise<{ readonly words: RatedWord[]; readonly tokens: number }> {
  if (mode === "learned") {
    const reading = await lens.readPair(text, options);
    return { words: learnedWords(text, reading, lens.ratings(text)), tokens: reading.starts.length };
  }
  const { values } = await valuesOf(lens, text, { kind: mode }, options);
  return { words: probeWords(text, await lens.read(text, options), values), tokens: values.length };
}

/** A word's log-ratio is the sum over its tokens. Words without one, at a passage's start say, are left out. */
export function learnedWords(text: string, reading: PairReading, ratings: readonly ScoredToken[]): RatedWord[] {
  const byStart = new Map(ratings.map((rated) => [rated.start, rated]));
  return wordsOf(reading, text, ratings).flatMap(({ start, end, learned }) => {
    const rated = byStart.get(start);
    if (rated === undefined || rated.end !== end || learned === null) return [];
    return [{ start, end, rating: rated.valence, value: learned, familiarity: 0 }];
  });
}

/**
 * Tokens one after the other with the same rating, of which only the first may begin with white space. A word's number is the mean over its tokens; so
 * is its familiarity, which is not smaller than that of the mean of their features.
 */
export function probeWords(
  text: string,
  { starts, ends, familiarity, trueReward }: Pick<Reading, "starts" | "ends" | "familiarity" | "trueReward">,
  values: readonly (number | null)[],
): RatedWord[] {
  const words: (RatedWord & { readonly tokens: number })[] = [];
  for (const [token, rating] of trueReward.entries()) {
    if (rating === null) continue;
    const [start = 0, end = 0, value = 0] = [starts[token], ends[token], values[token] ?? 0];
    const distance = familiarity?.[token] ?? 0;
    const space = /^\s*/u.exec(text.slice(start, end))?.[0].length ?? 0;
    const last = words.at(-1);
    if (last !== undefined && last.end === start && space === 0 && last.rating === rating) {
      const tokens = last.tokens + 1;
      const meanWith = (mean: number, one: number): number => mean + (one - mean) / tokens;
      const means = { value: meanWith(last.value, value), familiarity: meanWith(last.familiarity, distance) };
      words[words.length - 1] = { ...last, ...means, end, tokens };
    } else {
      words.push({ start: start + space, end, value, familiarity: distance, rating, tokens: 1 });
    }
  }
  return words.map(({ tokens: _, ...word }) => word);
}
