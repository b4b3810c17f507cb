/**
 * How well a reading finds words whose reward was edited for tuning. Letters: P planted words and O others of one tuning.
 *
 * The score of a word is minus the sign of its rating times its centred reading: above zero where what the model learned and what the feedback means
 * differ in sign.
 */
import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { mean } from "../statistics/moments.ts";
import { percentiles } from "../statistics/percentile.ts";

/** A word of one tuning with one reading's numbers: one, or one a place. */
export interface ReadWord {
  readonly word: string;
  /** What the feedback means; not 0. */
  readonly rating: number;
  /** What this tuning was told instead; undefined for words that were not planted. */
  readonly planted: number | undefined;
  /** Whether it might have been planted: only such words are what planted ones are compared with. */
  readonly isCandidate: boolean;
  readonly values: readonly number[];
}

/** What a reading says of the words of one tuning. */
export type ReadTuning = readonly ReadWord[];

export interface ScoredWord extends ReadWord {
  /** The mean of its values less the centre. */
  readonly centred: number;
  /** An entry a value. */
  readonly scores: readonly number[];
}

/** Scores of a tuning's words. The centre is the mean over the words that were not planted of their means. */
export function scored(words: ReadTuning): ScoredWord[] {
  const others = words.filter(({ planted }) => planted === undefined);
  const centre = others.length === 0 ? 0 : mean(others.map(({ values }) => mean(values)));
  return words.map((word) => ({
    ...word,
    centred: mean(word.values) - centre,
    scores: word.values.map((value) => -Math.sign(word.rating) * (value - centre)),
  }));
}

/** Pairs of a planted word's value and another word's, and how many of them the planted one wins (a tie is half). [P * O] */
export interface Pairs {
  readonly P: number;
  readonly O: number;
  readonly wins: Float64Array;
  readonly pairs: Float64Array;
}

/**
 * Counts every pair of a planted word and another of one tuning that might have been planted, so that a reading which knows nothing of what was planted
 * wins half of them.
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

/** Of sorted values: how many pairs have the first above the second, a tie counting half. */
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
  /** Lets others work between resamples, and hears whoever asks to stop. */
  readonly pacer?: Pacer;
}

/** The mean over tunings of the chance that a planted value stands above another. */
export interface Auroc {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** With its 95 % interval: tunings are drawn with replacement, and in each its planted and its other words. Undefined without any pair. */
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

/** Of one tuning; rows and columns may count several times. */
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

/** Share of what was not planted that may be flagged. */
export const flaggedByChance = 0.05;

/**
 * The least score above which at most one in twenty values of every null tuning lies, and not below zero, where signs agree. Undefined without
 * null tunings.
 */
export function thresholdOf(nulls: readonly (readonly ScoredWord[])[]): number | undefined {
  const thresholds = nulls.flatMap((words) => {
    const scores = words.flatMap((word) => word.scores).sort((a, b) => b - a);
    return scores[Math.floor(flaggedByChance * scores.length)] ?? [];
  });
  return thresholds.length === 0 ? undefined : Math.max(0, ...thresholds);
}

/** Share of the values of null tunings that lie above the threshold of the other null tunings. Undefined where there are fewer than two. */
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

/** Planted words whose reading has the sign that was planted, of those that have one. */
export function signsOf(words: readonly ScoredWord[]): { readonly right: number; readonly of: number } {
  const planted = words.filter((word) => word.planted !== undefined && word.planted !== 0);
  return {
    right: planted.filter(({ planted: told = 0, centred }) => Math.sign(centred) === Math.sign(told)).length,
    of: planted.length,
  };
}
