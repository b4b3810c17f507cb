/** From rows to words: means of a fold's predictions over each word's rows. */

import { LfpError } from "../common/errors.ts";
import { byCodeUnit } from "../common/order.ts";
import type { Triple } from "../tasks/task.ts";
import type { ProbeSettings, SplitReport } from "./report-types.ts";
import type { Split } from "./splits.ts";
import type { WordPrediction } from "./word-scores.ts";

/** A target word that the feedback does not rate. */
export class UnratedWordError extends LfpError {
  readonly code = "input";
}

/** Word and rating of every polar row. */
export interface RatedRows {
  readonly words: readonly string[];
  readonly ratings: Float64Array;
}

/** The words of the polar rows: those of the positive versions, then those of the negative ones. Throws `UnratedWordError`. */
export function ratedRows(triples: readonly Triple[], wordValues: ReadonlyMap<string, number>): RatedRows {
  const words = [...triples.map(({ positive }) => positive.word), ...triples.map(({ negative }) => negative.word)];
  const ratings = Float64Array.from(words, (word) => {
    const value = wordValues.get(word);
    if (value === undefined)
      throw new UnratedWordError(`the feedback has no value for "${word}": make the triples from its own words`);
    return value;
  });
  return { words, ratings };
}

/** Means over the test rows of each word, in alphabetical order; rounded to three digits where predictions are scaled, as published. */
export function wordMeans(
  split: Split,
  words: readonly string[],
  truth: Float64Array,
  predictedByFold: readonly (readonly number[])[],
  { normalise, target }: Pick<ProbeSettings, "normalise" | "target">,
): WordPrediction[] {
  const sums = new Map<string, { predicted: number; occurrences: number; truth: number; first: number }>();
  for (const [index, { test }] of split.folds.entries()) {
    for (const [at, row] of test.entries()) {
      const word = words[row] ?? "";
      const value = truth[row] ?? Number.NaN;
      const entry = sums.get(word) ?? { predicted: 0, occurrences: 0, truth: 0, first: value };
      sums.set(word, entry);
      entry.predicted += predictedByFold[index]?.[at] ?? Number.NaN;
      entry.truth += value - entry.first;
      entry.occurrences += 1;
    }
  }
  const isRounded = target === "deltas" && normalise === "predictions";
  return [...sums]
    .sort(([a], [b]) => byCodeUnit(a, b))
    .map(([word, { predicted: sum, occurrences, truth: excess, first }]) => {
      const mean = sum / occurrences;
      const predicted = isRounded ? Math.round(mean * 1000) / 1000 : mean;
      return { word, predicted, true: first + excess / occurrences, occurrences };
    });
}

/** Counts a fold's rows and words, and how many of its test words also occur in its training rows. */
export function describeFold(
  { train, test }: Split["folds"][number],
  words: readonly string[],
): SplitReport["split"]["folds"][number] {
  const wordsOf = (rows: Int32Array): Set<string> => new Set(Array.from(rows, (row) => words[row] ?? ""));
  const [trained, tested] = [wordsOf(train), wordsOf(test)];
  return {
    trainRows: train.length,
    testRows: test.length,
    testWords: tested.size,
    testWordsSeenInTraining: [...tested].filter((word) => trained.has(word)).length,
  };
}
