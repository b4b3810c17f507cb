/**
 * Repeated draws of the split by word, and refits to permuted labels of the words.
 *
 * Tau depends on which words share a fold, so it is averaged over several draws. The refits give tau's null
 * distribution: features that are unrelated to a word's label. A fit of fixed features is linear in its targets, so
 * each further refit is one product (see `ridgeSmoother`).
 */
import { z } from "zod";
import type { Pacer } from "../common/pacer.ts";
import { Random } from "../common/random.ts";
import { kendallTau } from "../statistics/kendall.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { mean, standardDeviation } from "../statistics/moments.ts";
import { percentiles } from "../statistics/percentile.ts";
import { pick } from "../statistics/resampling.ts";
import { type RidgeSmoother, ridgeSmoother } from "../statistics/ridge.ts";
import type { Triple } from "../tasks/task.ts";
import { addScaledRow } from "./features.loops.ts";
import { polarRows, type TripleFeatures, takeRows } from "./features.ts";
import type { ProbeSettings, SplitReport } from "./report-types.ts";
import { type Fold, type Split, splitByTriple, splitByWord } from "./splits.ts";
import { type ProbeTarget, withTargets } from "./targets.ts";
import { orNull, spread } from "./word-scores.ts";

/** Result of one draw of folds. Plain JSON, so that an interrupted evaluation can resume from it. */
export const foldDrawSchema = z.strictObject({
  /** Predictions of the test words, in alphabetical order. */
  predicted: z.array(z.number()),
  truth: z.array(z.number()),
  tau: z.number().nullable(),
  /** Tau of each fit to permuted labels. */
  permutedTaus: z.array(z.number().nullable()),
});

export type FoldDraw = z.infer<typeof foldDrawSchema>;

export interface FoldDrawProblem {
  readonly triples: readonly Triple[];
  readonly features: TripleFeatures;
  readonly target: ProbeTarget;
  readonly settings: Pick<ProbeSettings, "seed" | "alpha" | "wordFolds" | "refits">;
  /** Number of the draw; draw 0 is the split that the rest of the report describes. */
  readonly draw: number;
  /** Whether to refit to permuted labels as well, `settings.refits` times; every draw uses the same permutations. */
  readonly permuted: boolean;
  readonly pacer: Pacer;
}

/** The split by triple. Throws `TooFewTriplesError`. */
export function tripleSplitOf(
  triples: readonly Triple[],
  { seed, trainShare }: Pick<ProbeSettings, "seed" | "trainShare">,
): Split {
  return splitByTriple(triples.length, trainShare, Random.fromSeed(seed).fork("split by triple"));
}

/** The split by word of a draw. Throws `TooFewTriplesError`. */
export function wordSplitOf(
  triples: readonly Triple[],
  { seed, wordFolds }: Pick<ProbeSettings, "seed" | "wordFolds">,
  draw = 0,
): Split {
  const random = Random.fromSeed(seed).fork(draw === 0 ? "split by word" : `split by word, draw ${draw}`);
  return splitByWord(triples, wordFolds, random);
}

/** Throws `TooFewTriplesError`. */
export async function drawFolds(problem: FoldDrawProblem): Promise<FoldDraw> {
  const { triples, target, settings, draw, permuted, features, pacer } = problem;
  const { names, truth, places } = target.words;
  const split = withTargets(wordSplitOf(triples, settings, draw), target);
  const fits: FoldSmoother[] = [];
  for (const fold of split.folds) fits.push(await smootherOf(fold, features, places, { alpha: settings.alpha, pacer }));
  const predictedFrom = (values: Float64Array): Float64Array => {
    const predicted = new Float64Array(names.length);
    for (const { train, tested, smooth } of fits) {
      const trained = pick(values, train);
      const found = smooth(target.normaliser(trained).targets(trained));
      for (const [at, place] of tested.entries()) predicted[place] = found[at] ?? Number.NaN;
    }
    return predicted;
  };
  const tauOf = (predicted: Float64Array, values: Float64Array): number | null =>
    orNull(kendallTau(predicted, values, "asymptotic").tau);
  const random = Random.fromSeed(settings.seed).fork("permuted labels");
  const inOrder = [...names.keys()];
  const orders = Array.from({ length: permuted ? settings.refits : 0 }, () =>
    Int32Array.from(random.shuffled(inOrder)),
  );
  const predicted = predictedFrom(target.values);
  const permutedTaus: (number | null)[] = [];
  for (const order of orders) {
    await pacer.pause();
    permutedTaus.push(tauOf(predictedFrom(target.relabelled(order)), pick(truth, order)));
  }
  return {
    predicted: [...predicted],
    truth: [...truth],
    tau: tauOf(predicted, truth),
    permutedTaus,
  };
}

/**
 * Tests the mean of tau over draws against its distribution under permuted labels: p is two-sided, (1 + as extreme)
 * / (1 + refits). An undefined mean counts as extreme.
 */
export function refitTest(draws: readonly FoldDraw[], refits: number): NonNullable<SplitReport["refitted"]> {
  const meanOf = (taus: readonly (number | null)[]): number =>
    mean(taus.map((tau) => tau ?? Number.NaN).filter((tau) => !Number.isNaN(tau)));
  const taus = draws.map(({ tau }) => tau);
  const observed = meanOf(taus);
  const permuted = Array.from({ length: refits }, (_, at) =>
    meanOf(draws.map(({ permutedTaus }) => permutedTaus[at] ?? null)),
  );
  const reached = Math.abs(observed) - 1e-13;
  const asExtreme = permuted.filter((tau) => !(Math.abs(tau) < reached)).length;
  const defined = permuted.filter((tau) => !Number.isNaN(tau));
  const [high] = defined.length > 0 ? percentiles(defined.map(Math.abs), [95]) : [];
  return {
    foldDraws: draws.length,
    taus,
    tau: spread(taus.map((tau) => tau ?? Number.NaN)),
    refits,
    permutedSd: orNull(defined.length > 1 ? standardDeviation(defined) : Number.NaN),
    permutedHigh: high ?? null,
    p: Number.isNaN(observed) || refits === 0 ? null : (1 + asExtreme) / (1 + refits),
  };
}

interface FoldSmoother {
  readonly train: Int32Array;
  /** Indices of the fold's test words, in the order of the smoother's predictions. */
  readonly tested: readonly number[];
  readonly smooth: RidgeSmoother;
}

/**
 * Builds a smoother that predicts a word at the mean of its test rows, which equals the mean of the predictions
 * there.
 */
async function smootherOf(
  { train, test }: Fold,
  features: TripleFeatures,
  places: Int32Array,
  { alpha, pacer }: { readonly alpha: number; readonly pacer: Pacer },
): Promise<FoldSmoother> {
  const rows = polarRows(features);
  const wanted = pick(places, test);
  const tested = [...new Set(wanted)];
  return {
    train,
    tested,
    smooth: await ridgeSmoother(takeRows(rows, train), meanRows(takeRows(rows, test), wanted, tested), alpha, pacer),
  };
}

/** Mean of the rows of each requested group. */
function meanRows({ data, columns }: RowMatrix, groups: Float64Array, asked: readonly number[]): RowMatrix {
  const placeOf = new Map(asked.map((group, at) => [group, at]));
  const sums = new Float64Array(asked.length * columns);
  const means = asked.map((group) => 1 / groups.filter((other) => other === group).length);
  for (const [row, group] of groups.entries()) {
    const at = placeOf.get(group) ?? -1;
    addScaledRow(sums, at * columns, data, row * columns, columns, means[at] ?? Number.NaN);
  }
  return rowMatrix(sums, asked.length, columns);
}
