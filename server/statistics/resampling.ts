import { invariant } from "../common/errors.ts";
import { Pacer } from "../common/pacer.ts";
import type { Random } from "../common/random.ts";
import { standardDeviation } from "./moments.ts";
import { percentiles } from "./percentile.ts";
import type { Numbers } from "./sample.ts";

/** A statistic of the rows with these indices; an index may repeat. */
export type RowStatistic = (rows: Int32Array) => number;

export interface BootstrapOptions {
  readonly random: Random;
  /** Yields to other work between resamples, and observes the abort signal. */
  readonly pacer?: Pacer;
  /** Number of resamples; 2,000 by default. */
  readonly resamples?: number;
  /** Share of the resampled statistics inside the interval; 0.95 by default. */
  readonly confidence?: number;
}

/** A statistic and its bootstrap interval (percentile method: the middle `confidence` of the resampled statistics). */
export interface BootstrapInterval {
  /** The statistic of the sample itself. */
  readonly estimate: number;
  /** Ends of the interval; NaN when the statistic is undefined on every resample. */
  readonly low: number;
  readonly high: number;
  /** Standard deviation of the resampled statistics. */
  readonly standardError: number;
  readonly confidence: number;
  readonly resamples: number;
  /** Resamples on which the statistic was NaN (such as a correlation of equal values); they are left out. */
  readonly undefinedResamples: number;
}

/**
 * Bootstrap interval of a statistic of `groups.length` rows. `groups[i]` names the group (the word) of row i.
 * Resamples whole groups with replacement, each with all its rows, because rows of one word are not independent.
 * Throws the reason of the pacer's signal.
 */
export async function bootstrapInterval(
  groups: readonly (string | number)[],
  statistic: RowStatistic,
  options: BootstrapOptions,
): Promise<BootstrapInterval> {
  const members = rowsByGroup(groups);
  const resample = () => statistic(drawGroups(members, options.random));
  return await summarised(statistic(Int32Array.from(groups.keys())), resample, members.length, options);
}

export interface PermutationOptions {
  readonly random: Random;
  /** See `BootstrapOptions`. */
  readonly pacer?: Pacer;
  /** Number of random orders; 9,999 by default, so that the smallest p is 0.0001. */
  readonly permutations?: number;
  /** Which statistics count as at least as extreme: those above, below, or (the default) as far from zero. */
  readonly alternative?: "two-sided" | "greater" | "less";
}

export interface PermutationResult {
  /** The statistic in the given order. */
  readonly observed: number;
  /** (1 + asExtreme) / (1 + permutations); NaN when `observed` is. */
  readonly p: number;
  /** Random orders at least as extreme as the observed one, up to rounding; an undefined statistic counts as extreme. */
  readonly asExtreme: number;
  readonly permutations: number;
}

/**
 * Permutation test of a statistic of `rows` rows: `statistic(order)` pairs row i of one side with row order[i] of the
 * other, and is compared with its values under random orders. The observed order counts as one of them, so p is never 0
 * (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585). `two-sided` compares absolute values: the statistic must be
 * centred at zero under the null hypothesis, as tau, rho and a difference of means are. Throws the reason of the pacer's signal.
 */
export async function permutationTest(
  rows: number,
  statistic: RowStatistic,
  options: PermutationOptions,
): Promise<PermutationResult> {
  const { random, permutations = 9999, alternative = "two-sided", pacer = new Pacer() } = options;
  const order = Int32Array.from({ length: rows }, (_, row) => row);
  const observed = statistic(order);
  const extremity = { "two-sided": Math.abs, greater: (t: number) => t, less: (t: number) => -t }[alternative];
  const reached = extremity(observed) - 1e-13 * Math.abs(observed);
  let asExtreme = 0;
  for (let i = 0; i < permutations; i++) {
    await pacer.pause();
    shuffle(order, random);
    if (!(extremity(statistic(order)) < reached)) asExtreme++;
  }
  const p = Number.isNaN(observed) ? Number.NaN : (1 + asExtreme) / (1 + permutations);
  return { observed, p, asExtreme, permutations };
}

/** The values with these indices, in this order, as most row statistics need them. */
export function pick(values: Numbers, rows: Int32Array): Float64Array {
  const picked = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) picked[i] = values[rows[i] ?? -1] ?? Number.NaN;
  return picked;
}

async function summarised(
  estimate: number,
  resample: () => number,
  units: number,
  options: BootstrapOptions,
): Promise<BootstrapInterval> {
  const { resamples = 2000, confidence = 0.95, pacer = new Pacer() } = options;
  invariant(confidence > 0 && confidence < 1, `confidence must lie between 0 and 1, got ${confidence}`);
  const drawn: number[] = [];
  for (let i = 0; i < (units === 0 ? 0 : resamples); i++) {
    await pacer.pause();
    const value = resample();
    if (!Number.isNaN(value)) drawn.push(value);
  }
  const tail = 50 * (1 - confidence);
  const [low = Number.NaN, high = Number.NaN] = percentiles(drawn, [tail, 100 - tail]);
  const undefinedResamples = resamples - drawn.length;
  return { estimate, low, high, standardError: standardDeviation(drawn), confidence, resamples, undefinedResamples };
}

/** Draws as many groups as there are, with replacement, and returns their rows. */
function drawGroups(members: readonly (readonly number[])[], random: Random): Int32Array {
  const drawn = new Int32Array(members.length);
  let length = 0;
  for (let group = 0; group < drawn.length; group++) {
    const one = random.integer(members.length);
    drawn[group] = one;
    length += members[one]?.length ?? 0;
  }
  const rows = new Int32Array(length);
  let at = 0;
  for (const one of drawn) for (const row of members[one] ?? []) rows[at++] = row;
  return rows;
}

function rowsByGroup(groups: readonly (string | number)[]): number[][] {
  const rows = new Map<string | number, number[]>();
  for (const [row, group] of groups.entries()) {
    const known = rows.get(group);
    if (known) known.push(row);
    else rows.set(group, [row]);
  }
  return [...rows.values()];
}

/** Shuffles in place (Fisher and Yates). */
function shuffle(order: Int32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const picked = order[j] ?? 0;
    order[j] = order[i] ?? 0;
    order[i] = picked;
  }
}
