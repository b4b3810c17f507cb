import { z } from "zod";
import { Random } from "../common/random.ts";
import type { RowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { ridgeOf } from "../statistics/ridge.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import { type Normaliser, rounded } from "./linear-probe.ts";
import type { ProbeSettings } from "./report-types.ts";
import type { Fold } from "./splits.ts";
import type { ProbeTarget } from "./targets.ts";

const scaleSchema = z.strictObject({ low: z.number(), high: z.number() }).nullable();

/** What the probes of one fold say of its test rows, in their order. Plain JSON, so that it can be kept and taken up again. */
export const foldResultSchema = z.strictObject({
  predicted: z.array(z.number()),
  /** Of probes fitted to shuffled deltas, one list a shuffle. */
  shuffled: z.array(z.array(z.number())),
  /** Of probes fitted to random signs of the words. */
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
  /** Which fold of its split it is. */
  readonly index: number;
  /** The word of every polar row. */
  readonly words: readonly string[];
  readonly settings: ProbeSettings;
  /** Whether the controls are wanted as well. */
  readonly controls: boolean;
}

/** Fits the probe and its controls on the training rows and predicts the test rows; all share one factored matrix. */
export function fitFold({ features, target, fold, index, words, settings, controls }: FoldProblem): FoldResult {
  const rows = polarRows(features);
  const solve = ridgeOf(takeRows(rows, fold.train), settings.alpha);
  const tested = takeRows(rows, fold.test);
  const trained = Float64Array.from(fold.train, (row) => target.values[row] ?? Number.NaN);
  const normaliser = target.normaliser(trained);
  const own = fitted(solve, normaliser.targets(trained), tested, normaliser);
  const seeds = controls ? [...Array(settings.labelShuffles).keys()] : [];
  const random = Random.fromSeed(settings.seed);
  const predict = (targets: Float64Array): number[] => [...fitted(solve, targets, tested, normaliser).values];
  const shuffled = seeds.map((seed) => {
    const order = random.fork(`shuffle ${seed} in fold ${index}`).shuffled([...trained]);
    return predict(normaliser.targets(Float64Array.from(order)));
  });
  const memory = seeds.map((seed) => {
    const signs = randomSigns(words, seed, random);
    const relabelled = trained.map((delta, i) => Math.abs(delta) * (signs.get(words[fold.train[i] ?? -1] ?? "") ?? 0));
    return predict(normaliser.targets(relabelled));
  });
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
  const different = [...new Set(words)].sort((a, b) => Number(a > b) - Number(a < b));
  return new Map(different.map((word) => [word, own.uniform() < 0.5 ? 1 : -1]));
}

function fitted(
  solve: ReturnType<typeof ridgeOf>,
  targets: Float64Array,
  tested: RowMatrix,
  normaliser: Normaliser,
): ReturnType<Normaliser["finish"]> & { readonly model: ReturnType<typeof rounded> } {
  const model = rounded(solve(targets));
  return { model, ...normaliser.finish(predictLinear(model, tested)) };
}
