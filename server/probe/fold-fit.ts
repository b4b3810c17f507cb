import { z } from "zod";
import { byCodeUnit } from "../common/order.ts";
import type { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import type { RowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { type RidgeFit, ridgeOf } from "../statistics/ridge.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import { type Normaliser, rounded } from "./linear-probe.ts";
import type { ProbeSettings } from "./report-types.ts";
import type { Fold } from "./splits.ts";
import type { ProbeTarget } from "./targets.ts";

const scaleSchema = z.strictObject({ low: z.number(), high: z.number() }).nullable();

/**
 * Predictions of one fold's probes for its test rows, in their order. Plain JSON, so that an interrupted evaluation
 * can resume from it.
 */
export const foldResultSchema = z.strictObject({
  predicted: z.array(z.number()),
  /** Predictions of probes fitted to shuffled deltas, one list a shuffle. */
  shuffled: z.array(z.array(z.number())),
  /** Predictions of probes fitted to random signs of the words. */
  memory: z.array(z.array(z.number())),
  weights: z.array(z.number()),
  intercept: z.number(),
  deltaScale: scaleSchema,
  outputScale: scaleSchema,
});

export type FoldResult = z.infer<typeof foldResultSchema>;

export interface FoldProblem {
  readonly features: TripleFeatures;
  readonly target: ProbeTarget;
  readonly fold: Fold;
  /** Index of the fold in its split. */
  readonly index: number;
  /** The word of every polar row. */
  readonly words: readonly string[];
  readonly settings: ProbeSettings;
  /** Whether to fit the controls as well. */
  readonly controls: boolean;
  readonly pacer: Pacer;
}

/** Fits the probe and its controls on the training rows and predicts the test rows; all share one factored matrix. */
export async function fitFold(problem: FoldProblem): Promise<FoldResult> {
  const { features, target, fold, index, words, settings, controls, pacer } = problem;
  const rows = polarRows(features);
  const solve = await ridgeOf(takeRows(rows, fold.train), settings.alpha, pacer);
  const tested = takeRows(rows, fold.test);
  const trained = Float64Array.from(fold.train, (row) => target.values[row] ?? Number.NaN);
  const normaliser = target.normaliser(trained);
  const own = fitted(solve, normaliser.targets(trained), tested, normaliser);
  const seeds = controls ? [...Array(settings.labelShuffles).keys()] : [];
  const random = Random.fromSeed(settings.seed);
  const predict = (targets: Float64Array): number[] => [...fitted(solve, targets, tested, normaliser).values];
  const shuffled: number[][] = [];
  const memory: number[][] = [];
  for (const seed of seeds) {
    await pacer.pause();
    const order = random.fork(`shuffle ${seed} in fold ${index}`).shuffled([...trained]);
    shuffled.push(predict(normaliser.targets(Float64Array.from(order))));
    await pacer.pause();
    const signs = randomSigns(words, seed, random);
    const relabelled = trained.map((delta, i) => Math.abs(delta) * (signs.get(words[fold.train[i] ?? -1] ?? "") ?? 0));
    memory.push(predict(normaliser.targets(relabelled)));
  }
  return {
    predicted: [...own.values],
    shuffled,
    memory,
    weights: [...own.model.weights],
    intercept: own.model.intercept,
    deltaScale: normaliser.deltaScale,
    outputScale: own.outputScale,
  };
}

/** A sign for every word, the same in every fold. */
export function randomSigns(words: readonly string[], seed: number, random: Random): ReadonlyMap<string, 1 | -1> {
  const own = random.fork(`signs ${seed}`);
  const different = [...new Set(words)].sort(byCodeUnit);
  return new Map(different.map((word) => [word, own.uniform() < 0.5 ? 1 : -1]));
}

/** Fits a probe to the targets (see `Normaliser`), rounds it as it is saved, and predicts the tested rows. */
export function fitted(
  solve: RidgeFit,
  targets: Float64Array,
  tested: RowMatrix,
  normaliser: Normaliser,
): ReturnType<Normaliser["finish"]> & { readonly model: ReturnType<typeof rounded> } {
  const model = rounded(solve(targets));
  return { model, ...normaliser.finish(predictLinear(model, tested)) };
}
