/** Targets of a probe's fit: the activation deltas of the paper, or how tuning changed the prediction of the word. */

import { invariant } from "../common/errors.ts";
import { byCodeUnit } from "../common/order.ts";
import type { RatingRange } from "../rewards/word-ratings.ts";
import { pick } from "../statistics/resampling.ts";
import { activationDeltas } from "./deltas.ts";
import type { TripleFeatures } from "./features.ts";
import { type Normaliser, normaliserOf, unscaled } from "./linear-probe.ts";
import type { ProbeSettings } from "./report-types.ts";
import type { Split } from "./splits.ts";

/** Words and values of the polar rows [2n]. */
export interface ProbeTarget {
  /** The fit's targets; NaN where a row has none. */
  readonly values: Float64Array;
  /** True value of each row's word, which predictions are compared with. */
  readonly truth: Float64Array;
  /** Words with a target, in alphabetical order; one number a word. */
  readonly words: WordIndex;
  /** Scales targets by those of the training rows. */
  readonly normaliser: (trained: Float64Array) => Normaliser;
  /** `values` with the words' labels permuted: word i of `words` gets the label of word order[i]. */
  readonly relabelled: (order: Int32Array) => Float64Array;
}

export interface WordIndex {
  readonly names: readonly string[];
  /** Index in `names` of every polar row's word; -1 where no row of the word has a target. */
  readonly places: Int32Array;
  /** True value of each word: the mean of its rows' truth. */
  readonly truth: Float64Array;
}

export interface TargetProblem {
  readonly features: TripleFeatures;
  /** The word of every polar row. */
  readonly words: readonly string[];
  /** The word's rating, one number a polar row. */
  readonly ratings: Float64Array;
  /** The scale of ratings. */
  readonly range: RatingRange;
  /** lambda of every row of every version [3n], if it was collected. */
  readonly logRatios: Float32Array | undefined;
  readonly settings: Pick<ProbeSettings, "target" | "normalise">;
}

export function targetOf(problem: TargetProblem): ProbeTarget {
  return targets[problem.settings.target](problem);
}

/** The split's folds without the rows that have no target. */
export function withTargets(split: Split, { values }: ProbeTarget): Split {
  if (!values.some(Number.isNaN)) return split;
  const kept = (rows: Int32Array): Int32Array => rows.filter((row) => !Number.isNaN(values[row]));
  return { ...split, folds: split.folds.map(({ train, test }) => ({ train: kept(train), test: kept(test) })) };
}

const targets: { readonly [K in ProbeSettings["target"]]: (problem: TargetProblem) => ProbeTarget } = {
  deltas: ({ features, words, ratings, range, settings }) => {
    const deltas = activationDeltas(features);
    const index = wordIndex(words, ratings);
    const sizes = deltas.map(Math.abs);
    return {
      values: deltas,
      truth: ratings,
      words: index,
      normaliser: (trained) => normaliserOf(settings.normalise, trained, range),
      relabelled: (order) => {
        const signs = pick(index.truth, order).map(Math.sign);
        return sizes.map((size, row) => size * (signs[index.places[row] ?? -1] ?? Number.NaN));
      },
    };
  },
  logRatio: ({ features: { triples }, words, logRatios }) => {
    invariant(logRatios?.length === 3 * triples, `a log-ratio for each version of ${triples} triples is needed`);
    const values = Float64Array.from(logRatios.subarray(0, 2 * triples));
    const index = wordIndex(words, values);
    return {
      values,
      truth: values,
      words: index,
      normaliser: () => unscaled,
      relabelled: (order) => {
        const moves = pick(index.truth, order).map((mean, place) => mean - (index.truth[place] ?? Number.NaN));
        return values.map((value, row) => value + (moves[index.places[row] ?? -1] ?? Number.NaN));
      },
    };
  },
};

/** Means over the rows that have a value; exact where all are equal, so that ties stay ties. */
function wordIndex(words: readonly string[], truth: Float64Array): WordIndex {
  const valued = words.filter((_, row) => !Number.isNaN(truth[row]));
  const names = [...new Set(valued)].sort(byCodeUnit);
  const placeOf = new Map(names.map((name, place) => [name, place]));
  const places = Int32Array.from(words, (word) => placeOf.get(word) ?? -1);
  const first = new Float64Array(names.length).fill(Number.NaN);
  const excess = new Float64Array(names.length);
  const counts = new Float64Array(names.length);
  for (const [row, place] of places.entries()) {
    const value = truth[row] ?? Number.NaN;
    if (place < 0 || Number.isNaN(value)) continue;
    if (Number.isNaN(first[place])) first[place] = value;
    excess[place] = (excess[place] ?? 0) + value - (first[place] ?? 0);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return { names, places, truth: first.map((value, place) => value + (excess[place] ?? 0) / (counts[place] ?? 1)) };
}
