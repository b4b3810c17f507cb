/** Probes' predictions of every word, without statistics and controls: the readings that a calibration compares. */
import { Pacer } from "../common/pacer.ts";
import { pick } from "../statistics/resampling.ts";
import { ridgeOf } from "../statistics/ridge.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import { tripleSplitOf, wordSplitOf } from "./fold-draws.ts";
import { fitted } from "./fold-fit.ts";
import type { ProbeData } from "./probe-data.ts";
import type { ProbeSettings } from "./report-types.ts";
import type { Split } from "./splits.ts";
import { type ProbeTarget, targetOf } from "./targets.ts";
import { ratedRows, wordMeans } from "./word-means.ts";

/** The settings that readings depend on. */
export type WordReadingSettings = Pick<ProbeSettings, "seed" | "alpha" | "normalise" | "trainShare" | "wordFolds">;

/** Predictions of words, each the mean over its test rows. */
export interface WordReadings {
  /** By the paper's probe, on words that it knows from other triples. */
  readonly byTriple: ReadonlyMap<string, number>;
  /** By the same probe, each word in the fold that held it out. */
  readonly byWord: ReadonlyMap<string, number>;
  /** By a probe of the log-ratios, if there are any, with the same folds of words. */
  readonly fitted: ReadonlyMap<string, number>;
}

/**
 * Predicts the lexicons of `evaluateProbe` with these settings, by triple and by word, and the lexicon with
 * log-ratios as the target. Throws `TooFewTriplesError` and `UnratedWordError`, and the signal's reason soon after
 * it is aborted.
 */
export async function wordReadings(
  data: Pick<ProbeData, "triples" | "ratings" | "features" | "logRatios">,
  settings: WordReadingSettings,
  signal?: AbortSignal,
): Promise<WordReadings> {
  const { triples, ratings, features, logRatios } = data;
  const rows = ratedRows(triples, ratings.values);
  const of = (target: ProbeSettings["target"]): ProbeTarget =>
    targetOf({
      features,
      ...rows,
      range: ratings.range,
      logRatios,
      settings: { target, normalise: settings.normalise },
    });
  const deltas = of("deltas");
  const byTriple = tripleSplitOf(triples, settings);
  const byWord = wordSplitOf(triples, settings);
  const lexicon = (split: Split, predicted: readonly (readonly number[])[] = [], target: ProbeSettings["target"]) => {
    const means = wordMeans(split, rows.words, rows.ratings, predicted, { normalise: settings.normalise, target });
    return new Map(means.map(({ word, predicted: value }) => [word, value]));
  };
  const options = { alpha: settings.alpha, pacer: new Pacer(signal) };
  const [ofTriples] = await predictions(byTriple, features, [deltas], options);
  const targets = logRatios === undefined ? [deltas] : [deltas, of("logRatio")];
  const [ofWords, ofLogRatios] = await predictions(byWord, features, targets, options);
  return {
    byTriple: lexicon(byTriple, ofTriples, "deltas"),
    byWord: lexicon(byWord, ofWords, "deltas"),
    fitted: ofLogRatios === undefined ? new Map() : lexicon(byWord, ofLogRatios, "logRatio"),
  };
}

/**
 * Each fold's predictions of its test rows, for each target. Targets share a fold's factored matrix, unless one
 * lacks some of the rows.
 */
async function predictions(
  { folds }: Split,
  features: TripleFeatures,
  targets: readonly ProbeTarget[],
  { alpha, pacer }: { readonly alpha: number; readonly pacer: Pacer },
): Promise<number[][][]> {
  const rows = polarRows(features);
  const results = targets.map((): number[][] => []);
  for (const { train, test } of folds) {
    const tested = takeRows(rows, test);
    const solveAll = await ridgeOf(takeRows(rows, train), alpha, pacer);
    for (const [at, { values, normaliser }] of targets.entries()) {
      const known = train.filter((row) => !Number.isNaN(values[row]));
      const solve = known.length === train.length ? solveAll : await ridgeOf(takeRows(rows, known), alpha, pacer);
      const trained = pick(values, known);
      const own = normaliser(trained);
      results[at]?.push([...fitted(solve, own.targets(trained), tested, own).values]);
    }
  }
  return results;
}
