/** Reads words that the probe was fitted on by the fold of its split by word that held them out. */
import type { ScoredToken } from "../rewards/word-ratings.ts";
import { rowScores, type SparseRows } from "./sparse.loops.ts";

/** One fold's probe, with its output scale folded in. */
export interface FoldModel {
  readonly weights: Float64Array;
  readonly intercept: number;
}

export interface LensWordFolds {
  readonly models: readonly FoldModel[];
  /** By a word's lower-case form; undefined for one that the probe was not fitted on. */
  foldOf(word: string): number | undefined;
}

/** For each range of a text the fold that held out its word; -1 if its word has none. Both are in order. */
export function foldsAt(
  { starts, ends }: { readonly starts: Int32Array; readonly ends: Int32Array },
  words: readonly ScoredToken[],
  folds: LensWordFolds | undefined,
): Int32Array {
  const found = new Int32Array(starts.length).fill(-1);
  if (folds === undefined) return found;
  let at = 0;
  for (const [token, start] of starts.entries()) {
    while ((words[at]?.end ?? Number.POSITIVE_INFINITY) <= start) at += 1;
    const word = words[at];
    if (word !== undefined && word.start < (ends[token] ?? 0))
      found[token] = folds.foldOf(word.text.toLowerCase()) ?? -1;
  }
  return found;
}

/** A value for every row of features: by the fold's model where `folds` names one, otherwise by `whole`. */
export function scoresByFold(
  features: SparseRows,
  whole: FoldModel,
  folds: Int32Array,
  models: readonly FoldModel[] = [],
): Float64Array {
  const scores = rowScores(features, whole.weights, whole.intercept);
  for (const [fold, { weights, intercept }] of models.entries()) {
    if (!folds.includes(fold)) continue;
    const unseen = rowScores(features, weights, intercept);
    for (const [row, own] of folds.entries()) if (own === fold) scores[row] = unseen[row] ?? Number.NaN;
  }
  return scores;
}
