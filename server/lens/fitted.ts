/** What features make of a word's log-ratio: the ridge regression that a run fitted to lambda at its target words. */
import type { FeatureId } from "../protocol/ablation.ts";
import { contributionsAt, type FittedExplanation, type Reading, type ShownPart } from "./reading.ts";
import { SparseBuilder } from "./sparse.loops.ts";
import type { LensFitted } from "./subject.ts";

/** Tokens of a reading from `first` to before `end`, as a word is read as. */
export interface WordTokens {
  readonly first: number;
  readonly end: number;
}

/**
 * The fitted value of a word, in nats, with its `most` largest parts: at the mean of its tokens' features, or at those of its first token, as the run
 * fitted; by the fold that did not see the word, where the run has one. `fitted.weights` stand at the columns of `reading.features`.
 */
export function fittedAt(
  { features, folds }: Pick<Reading, "features" | "folds">,
  { first, end }: WordTokens,
  { wordFolds, multiToken, ...whole }: LensFitted,
  most: number,
  featureAt: (column: number) => FeatureId,
): FittedExplanation {
  const { weights, intercept } = wordFolds?.models[folds[first] ?? -1] ?? whole;
  const mean = new SparseBuilder();
  mean.addMean(features, first, multiToken === "average" ? end : first + 1);
  mean.endRow();
  const parts = contributionsAt({ features: mean.finish() }, 0, weights);
  const { shown, rest } = split(parts, most, featureAt);
  const value = parts.reduce((sum, { contribution }) => sum + contribution, intercept);
  return { value, intercept, contributions: shown, rest };
}

/** The largest parts by name, and what the others add. */
export function split(
  parts: ReturnType<typeof contributionsAt>,
  most: number,
  featureAt: (column: number) => FeatureId,
): { readonly shown: readonly ShownPart[]; readonly rest: { readonly count: number; readonly contribution: number } } {
  const others = parts.slice(most);
  return {
    shown: parts.slice(0, most).map(({ column, ...numbers }) => ({ id: featureAt(column), ...numbers })),
    rest: { count: others.length, contribution: others.reduce((sum, { contribution }) => sum + contribution, 0) },
  };
}
