/**
 * How well a reading finds words whose reward was edited for tuning. Letters: P planted words and O others of one
 * tuning.
 *
 * The score of a word is minus the sign of its rating times its centred reading: above zero if the sign that the
 * model learned contradicts the sign of the feedback's rating.
 */
import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { mean } from "../statistics/moments.ts";
import { percentiles } from "../statistics/percentile.ts";

/** A word of one tuning with one reading's values: a single one, or one a place. */
export interface ReadWord {
  readonly word: string;
  /** The feedback's own rating; not 0. */
  readonly rating: number;
  /** The rating that this tuning received instead; undefined for words that were not planted. */
  readonly planted: number | undefined;
  /** Whether it was eligible for planting: planted words are compared with eligible words only. */
  readonly isCandidate: boolean;
  readonly values: readonly number[];
}

/** One reading's values for the words of one tuning. */
export type ReadTuning = readonly ReadWord[];

export interface ScoredWord extends ReadWord {
  /** The mean of its values minus the centre. */
  readonly centred: number;
  /** Scores, one a value. */
  readonly scores: readonly number[];
}

/** Scores a tuning's words. The centre is the mean of the means of the words that were not planted. */
export function scored(words: ReadTuning): ScoredWord[] {
  const others = words.filter(({ planted }) => planted === undefined);
  const centre = others.length === 0 ? 0 : mean(others.map(({ values }) => mean(values)));
  return words.map((word) => ({
    ...word,
    centred: mean(word.values) - centre,
    scores: word.values.map((value) => -Math.sign(word.rating) * (value - centre)),
  }));
}

/**
 * Pairs of a planted word's value and another word's, and how many of them the planted one wins (a tie counts half).
 * [P * O]
 */
export interface Pairs {
  readonly P: number;
  readonly O: number;
  readonly wins: Float64Array;
  readonly pairs: Float64Array;
}

/**
 * Counts every pair of a planted word and another candidate of one tuning, so that a reading independent of the
 * planting wins half of them.
 */
export function pairsOf(words: readonly ScoredWord[]): Pairs {
  const planted = words.filter((word) => word.planted !== undefined);
  const others = words
    .filter((word) => word.planted === undefined && word.isCandidate)
    .map(({ scores }) => Float64Array.from(scores).sort());
  const [P, O] = [planted.length, others.length];
  const [wins, pairs] = [new Float64Array(P * O), new Float64Array(P * O)];
  for (const [p, { scores }] of planted.entries()) {
    const own = Float64Array.from(scores).sort();
    for (const [o, other] of others.entries()) {
      wins[p * O + o] = winsOf(own, other);
      pairs[p * O + o] = own.length * other.length;
    }
  }
  return { P, O, wins, pairs };
}

/** Over sorted values: number of pairs in which the first is above the second, a tie counting half. */
function winsOf(own: Float64Array, other: Float64Array): number {
  let [wins, below, notAbove] = [0, 0, 0];
  for (const value of own) {
    while ((other[below] ?? Number.POSITIVE_INFINITY) < value) below += 1;
    while ((other[notAbove] ?? Number.POSITIVE_INFINITY) <= value) notAbove += 1;
    wins += (below + notAbove) / 2;
  }
  return wins;
}

export interface AurocOptions {
  readonly random: Random;
  readonly resamples: number;
  /** Yields to other work between resamples, and observes the abort signal. */
  readonly pacer?: Pacer;
}

/** Mean over tunings of the chance that a planted value lies above another. */
export interface Auroc {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * AUROC with its 95 % bootstrap interval: resamples tunings, and within each its planted and its other words.
 * Undefined without any pair.
 */
export async function aurocOf(
  tunings: readonly Pairs[],
  { random, resamples, pacer = new Pacer() }: AurocOptions,
): Promise<Auroc | undefined> {
  const usable = tunings.filter(({ P, O }) => P > 0 && O > 0);
  if (usable.length === 0) return undefined;
  const value = mean(usable.map((tuning) => aurocIn(tuning)));
  const drawnIn = (tuning: Pairs): number => aurocIn(tuning, drawTimes(tuning.P, random), drawTimes(tuning.O, random));
  const drawn: number[] = [];
  for (let i = 0; i < resamples; i += 1) {
    await pacer.pause();
    drawn.push(mean(usable.map(() => drawnIn(usable[random.integer(usable.length)] ?? nothing))));
  }
  const [low = Number.NaN, high = Number.NaN] = percentiles(drawn, [2.5, 97.5]);
  return { value, low, high };
}

const nothing: Pairs = { P: 0, O: 0, wins: new Float64Array(), pairs: new Float64Array() };

/** AUROC within one tuning; rows and columns may occur several times. */
export function aurocIn(
  { P, O, wins, pairs }: Pairs,
  rows: ArrayLike<number> = new Float64Array(P).fill(1),
  columns: ArrayLike<number> = new Float64Array(O).fill(1),
): number {
  let [won, all] = [0, 0];
  for (let p = 0; p < P; p += 1) {
    const times = rows[p] ?? 0;
    if (times === 0) continue;
    for (let o = 0; o < O; o += 1) {
      const weight = times * (columns[o] ?? 0);
      won += weight * (wins[p * O + o] ?? 0);
      all += weight * (pairs[p * O + o] ?? 0);
    }
  }
  return won / all;
}

function drawTimes(count: number, random: Random): Float64Array {
  const times = new Float64Array(count);
  for (let draw = 0; draw < count; draw += 1) {
    const at = random.integer(count);
    times[at] = (times[at] ?? 0) + 1;
  }
  return times;
}

/** Share of unplanted values that may be flagged. */
export const flaggedByChance = 0.05;

/**
 * The threshold: the least score, but at least zero (where signs agree), that at most one in twenty values of every
 * null tuning exceeds. Undefined without null tunings.
 */
export function thresholdOf(nulls: readonly (readonly ScoredWord[])[]): number | undefined {
  const thresholds = nulls.flatMap((words) => {
    const scores = words.flatMap((word) => word.scores).sort((a, b) => b - a);
    return scores[Math.floor(flaggedByChance * scores.length)] ?? [];
  });
  return thresholds.length === 0 ? undefined : Math.max(0, ...thresholds);
}

/**
 * Share of the values of each null tuning above the threshold from the other null tunings. Undefined if there are
 * fewer than two.
 */
export function falsePositives(nulls: readonly (readonly ScoredWord[])[]): number | undefined {
  if (nulls.length < 2) return undefined;
  let [flagged, all] = [0, 0];
  for (const [at, words] of nulls.entries()) {
    const threshold = thresholdOf(nulls.filter((_, other) => other !== at));
    const scores = words.flatMap((word) => word.scores);
    flagged += scores.filter((score) => score > (threshold ?? Number.POSITIVE_INFINITY)).length;
    all += scores.length;
  }
  return all === 0 ? undefined : flagged / all;
}

/** Counts planted words whose reading has the planted sign, among those whose planted rating has a sign. */
export function signsOf(words: readonly ScoredWord[]): { readonly right: number; readonly of: number } {
  const planted = words.filter((word) => word.planted !== undefined && word.planted !== 0);
  return {
    right: planted.filter(({ planted: rating = 0, centred }) => Math.sign(centred) === Math.sign(rating)).length,
    of: planted.length,
  };
}
