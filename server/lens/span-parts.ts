/**
 * Values of words of one or several tokens, and the features' contributions to them, computed as for the words that
 * the run's probe was fitted on.
 */
import type { FeatureId } from "../protocol/ablation.ts";
import { type Contribution, contributionsAt, type FittedExplanation, type Reading, type ShownPart } from "./reading.ts";
import { SparseBuilder } from "./sparse.loops.ts";
import type { LensFitted, MultiToken } from "./subject.ts";
import type { TokenSpan } from "./words.ts";

/**
 * A word's value from those of its tokens: their mean, or that of the first. For a value that is linear in the
 * features, this equals the value at the word's features.
 */
export function spanValue(
  values: ArrayLike<number>,
  { firstToken, endToken }: TokenSpan,
  multiToken: MultiToken,
): number {
  const end = multiToken === "average" ? endToken : firstToken + 1;
  let sum = 0;
  for (let token = firstToken; token < end; token++) sum += values[token] ?? Number.NaN;
  return sum / (end - firstToken);
}

/** The contributions to a word's value at its features, largest absolute value first. */
export function spanParts(
  { features }: Pick<Reading, "features">,
  { firstToken, endToken }: TokenSpan,
  multiToken: MultiToken,
  weights: Float64Array,
): Contribution[] {
  const mean = new SparseBuilder();
  mean.addMean(features, firstToken, multiToken === "average" ? endToken : firstToken + 1);
  mean.endRow();
  return contributionsAt({ features: mean.finish() }, 0, weights);
}

/**
 * The fitted value of a word, in nats, with its `most` largest contributions; by the fold that held out the word, if
 * the run has one. `fitted.weights` have the columns of `reading.features`.
 */
export function fittedAt(
  reading: Pick<Reading, "features" | "folds">,
  span: TokenSpan,
  { wordFolds, ...whole }: LensFitted,
  multiToken: MultiToken,
  { most, featureAt }: ShownParts,
): FittedExplanation {
  const { weights, intercept } = wordFolds?.models[reading.folds[span.firstToken] ?? -1] ?? whole;
  const parts = spanParts(reading, span, multiToken, weights);
  const { shown, rest } = split(parts, { most, featureAt });
  const value = parts.reduce((sum, { contribution }) => sum + contribution, intercept);
  return { value, intercept, contributions: shown, rest };
}

export interface ShownParts {
  readonly most: number;
  readonly featureAt: (column: number) => FeatureId;
}

/** The largest contributions by name, and the sum of the others. */
export function split(
  parts: readonly Contribution[],
  { most, featureAt }: ShownParts,
): { readonly shown: readonly ShownPart[]; readonly rest: { readonly count: number; readonly contribution: number } } {
  const others = parts.slice(most);
  return {
    shown: parts.slice(0, most).map(({ column, ...numbers }) => ({ id: featureAt(column), ...numbers })),
    rest: { count: others.length, contribution: others.reduce((sum, { contribution }) => sum + contribution, 0) },
  };
}
