/** What probes say of every word, without their statistics: what a calibration compares. */
import { Random } from "../common/random.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { ridgeOf } from "../statistics/ridge.ts";
import type { Triple } from "../tasks/task.ts";
import { activationDeltas } from "./deltas.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import { type Normaliser, normaliserOf, rounded } from "./linear-probe.ts";
import type { ProbeSettings } from "./report-types.ts";
import { type Fold, type Split, splitByTriple, splitByWord } from "./splits.ts";

/** What is read, with one target a polar row. */
export interface ReadingProblem {
  readonly triples: readonly Triple[];
  readonly features: TripleFeatures;
  /** What else than the activation deltas is fitted, in the order of `polarRows`; rows that are NaN are left out. */
  readonly logRatio?: Float64Array;
}

/** Predictions of words, each the mean over its test rows. */
export interface WordReadings {
  /** The paper's probe, on words that it knows from other triples. */
  readonly byTriple: ReadonlyMap<string, number>;
  /** The same, each word by the fold that did not see it. */
  readonly byWord: ReadonlyMap<string, number>;
  /** Fitted to `logRatio`, by the same folds of words. */
  readonly fitted: ReadonlyMap<string, number>;
}

/** The splits are those of `evaluateProbe` with the same settings. Throws `TooFewTriplesError`. */
export function wordReadings({ triples, features, logRatio }: ReadingProblem, settings: ProbeSettings): WordReadings {
  const random = Random.fromSeed(settings.seed);
  const deltas = activationDeltas(features);
  const words = [...triples.map(({ positive }) => positive.word), ...triples.map(({ negative }) => negative.word)];
  const byTriple = splitByTriple(triples.length, settings.trainShare, random.fork("split by triple"));
  const byWord = splitByWord(triples, settings.wordFolds, random.fork("split by word"));
  const paper = { values: deltas, normaliser: (trained: Float64Array) => normaliserOf(settings.normalise, trained) };
  const fitted = { values: logRatio ?? new Float64Array(), normaliser: () => asTheyAre };
  const own = predicted(byWord, features, logRatio === undefined ? [paper] : [paper, fitted], settings.alpha);
  return {
    byTriple: meansOf(byTriple, words, predicted(byTriple, features, [paper], settings.alpha)[0]),
    byWord: meansOf(byWord, words, own[0]),
    fitted: meansOf(byWord, words, own[1]),
  };
}

/** One target of the fits, an entry a polar row. */
interface Target {
  readonly values: Float64Array;
  readonly normaliser: (trained: Float64Array) => Normaliser;
}

const asTheyAre: Normaliser = {
  deltaScale: null,
  targets: (values) => values,
  finish: (values) => ({ values, outputScale: null }),
};

/** For each target, each fold's predictions of its test rows. All targets share a fold's factored matrix, unless rows of one are missing. */
function predicted(
  split: Split,
  features: TripleFeatures,
  targets: readonly Target[],
  alpha: number,
): Float64Array[][] {
  const rows = polarRows(features);
  const results = targets.map((): Float64Array[] => []);
  for (const { train, test } of split.folds) {
    const tested = takeRows(rows, test);
    const solveAll = ridgeOf(takeRows(rows, train), alpha);
    for (const [at, { values, normaliser }] of targets.entries()) {
      const known = train.filter((row) => !Number.isNaN(values[row]));
      const solve = known.length === train.length ? solveAll : ridgeOf(takeRows(rows, known), alpha);
      const trained = Float64Array.from(known, (row) => values[row] ?? Number.NaN);
      const own = normaliser(trained);
      results[at]?.push(own.finish(predictLinear(rounded(solve(own.targets(trained))), tested)).values);
    }
  }
  return results;
}

function meansOf(
  { folds }: { readonly folds: readonly Fold[] },
  words: readonly string[],
  predictions: readonly Float64Array[] = [],
): Map<string, number> {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const [at, { test }] of folds.entries()) {
    for (const [index, row] of test.entries()) {
      const value = predictions[at]?.[index];
      const word = words[row];
      if (value === undefined || word === undefined) continue;
      const { sum, count } = sums.get(word) ?? { sum: 0, count: 0 };
      sums.set(word, { sum: sum + value, count: count + 1 });
    }
  }
  return new Map([...sums].map(([word, { sum, count }]) => [word, sum / count]));
}
