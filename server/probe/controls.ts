/** Control probes, which show what score costs nothing: random weights, and memorised words. */
import type { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { polarRows } from "./features.ts";
import { randomSigns } from "./fold-fit.ts";
import { rescaledToRange } from "./linear-probe.ts";
import type { ProbeData } from "./probe-data.ts";
import type { ProbeSettings, SeedScores, SplitReport } from "./report-types.ts";
import type { Split } from "./splits.ts";
import { wordMeans } from "./word-means.ts";
import { seedScores, signAccuracy, spread, type WordPrediction } from "./word-scores.ts";

/**
 * Scores of Xavier-uniform weights without an intercept, drawn as `torch.nn.init.xavier_uniform_` does for one
 * output, and rescaled to the range as published.
 */
export async function untrainedScores(
  { features, ratings: { range } }: Pick<ProbeData, "features" | "ratings">,
  split: Split,
  { words, truth }: { readonly words: readonly string[]; readonly truth: Float64Array },
  settings: Pick<ProbeSettings, "seed" | "xavierSeeds">,
  pacer: Pacer,
): Promise<SeedScores> {
  const rows = polarRows(features);
  const bound = Math.sqrt(6 / (rows.columns + 1));
  const predictions: WordPrediction[][] = [];
  for (let seed = 0; seed < settings.xavierSeeds; seed++) {
    await pacer.pause();
    const random = Random.fromSeed(settings.seed).fork(`xavier ${seed}`);
    const weights = new Float64Array(rows.columns).map(() => bound * (2 * random.uniform() - 1));
    const all = predictLinear({ weights, intercept: 0 }, rows);
    const tested = split.folds.map(({ test }) => [
      ...rescaledToRange(
        Float64Array.from(test, (row) => all[row] ?? Number.NaN),
        range,
      ).values,
    ]);
    predictions.push(wordMeans(split, words, truth, tested, { target: "deltas", normalise: "predictions" }));
  }
  return seedScores(predictions);
}

/** Scores the predictions against the random signs that the probes were fitted to. */
export function memoryScores(
  predictions: readonly (readonly WordPrediction[])[],
  words: readonly string[],
  { seed }: Pick<ProbeSettings, "seed">,
): SplitReport["wordMemory"] {
  const shares = predictions.map((predicted, index) => {
    const signs = randomSigns(words, index, Random.fromSeed(seed));
    const relabelled = predicted.map((word) => ({ ...word, true: signs.get(word.word) ?? 0 }));
    return signAccuracy(relabelled).share ?? Number.NaN;
  });
  return { seeds: predictions.length, signAccuracy: spread(shares) };
}
