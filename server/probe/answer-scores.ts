/** Scores of a classifier of answers, with intervals over groups. Rows 0 to n are liked answers, n to 2n disliked. */
import type { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { auroc } from "../statistics/ranks.ts";
import { bootstrapInterval, pick, type RowStatistic } from "../statistics/resampling.ts";
import type { AnswerScores, Estimate } from "./classification-types.ts";

export interface ScoringOptions {
  /** Forked, so that every statistic is taken over the same resamples. */
  readonly random: Random;
  readonly resamples: number;
  readonly pacer: Pacer;
}

/** `scores` [2n]: above 0 means liked. `groups` [n] names the group of each contrast. */
export async function answerScores(
  scores: Float64Array,
  groups: readonly string[],
  options: ScoringOptions,
): Promise<AnswerScores> {
  return {
    accuracy: await estimate(groups, (rows) => accuracyOf(scores, rows), options),
    auroc: await estimate(groups, (rows) => aurocOf(scores, rows), options),
    pairAccuracy: await estimate(groups, (rows) => pairAccuracyOf(scores, rows), options),
  };
}

/** AUROC of `ours` minus that of `theirs`, both taken over the same resamples. */
export async function aurocDifference(
  ours: Float64Array,
  theirs: Float64Array,
  groups: readonly string[],
  options: ScoringOptions,
): Promise<Estimate> {
  return await estimate(groups, (rows) => aurocOf(ours, rows) - aurocOf(theirs, rows), options);
}

/** Share of the answers to these contrasts whose class is right; a score of 0 counts as disliked. */
export function accuracyOf(scores: Float64Array, contrasts: Int32Array): number {
  const n = scores.length / 2;
  let right = 0;
  for (const at of contrasts) right += ((scores[at] ?? 0) > 0 ? 1 : 0) + ((scores[n + at] ?? 0) > 0 ? 0 : 1);
  return right / (2 * contrasts.length);
}

export function aurocOf(scores: Float64Array, contrasts: Int32Array): number {
  const n = scores.length / 2;
  const rows = Int32Array.from([...contrasts, ...contrasts.map((at) => n + at)]);
  return auroc(
    pick(scores, rows),
    Array.from(rows, (row) => row < n),
  );
}

export function pairAccuracyOf(scores: Float64Array, contrasts: Int32Array): number {
  const n = scores.length / 2;
  let right = 0;
  for (const at of contrasts) right += (1 + Math.sign((scores[at] ?? 0) - (scores[n + at] ?? 0))) / 2;
  return right / contrasts.length;
}

async function estimate(
  groups: readonly string[],
  statistic: RowStatistic,
  { random, resamples, pacer }: ScoringOptions,
): Promise<Estimate> {
  const found = await bootstrapInterval(groups, statistic, { random: random.fork("groups"), resamples, pacer });
  return { value: orNull(found.estimate), low: orNull(found.low), high: orNull(found.high) };
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
