/** What numbers stand in the text itself: words' values, and means of lines, paragraphs or records. Independent of VS Code. */
import type { LensMode, ReadPassage } from "../../server/protocol/lens.ts";
import type { Interval } from "./colour-stretches.ts";
import { stepFor } from "./scale.ts";

/** A number of a word or token. */
export interface WordNumber extends Interval {
  readonly value: number;
}

/** The words or tokens of a passage that have a value, without those unfamiliar to the probe if these are faded. */
export function numbersIn({ tokens }: ReadPassage, fades: boolean): WordNumber[] {
  const faded = new Set(fades ? tokens.unfamiliar : []);
  return tokens.values.flatMap((value, at) => {
    const [start = 0, end = 0] = [tokens.starts[at], tokens.ends[at]];
    return value === null || faded.has(at) ? [] : [{ start, end, value }];
  });
}

/** The words that have a colour, whose numbers stand behind them. */
export function strongNumbers(
  passages: readonly ReadPassage[],
  { mode, limit, fades }: { readonly mode: LensMode["kind"]; readonly limit: number; readonly fades: boolean },
): WordNumber[] {
  return passages
    .flatMap((passage) => numbersIn(passage, fades))
    .filter(({ value }) => stepFor(value, limit, mode) !== undefined);
}

/** The mean of some words, their number, and the strongest of them. */
export interface GroupMean {
  readonly mean: number;
  readonly count: number;
  readonly strongest: WordNumber;
}

/** One mean per group of words, such as those of a line, by what `groupOf` says of a word's place; in order of the text. */
export function meansOfWords<Word extends WordNumber>(
  words: readonly Word[],
  groupOf: (word: Word) => number,
): ReadonlyMap<number, GroupMean> {
  const groups = Map.groupBy(words, groupOf);
  return new Map(
    [...groups].flatMap(([group, own]) => {
      const [first, ...rest] = own;
      if (first === undefined) return [];
      const sum = own.reduce((total, { value }) => total + value, 0);
      const strongest = rest.reduce((best, word) => (Math.abs(word.value) > Math.abs(best.value) ? word : best), first);
      return [[group, { mean: sum / own.length, count: own.length, strongest }] as const];
    }),
  );
}
