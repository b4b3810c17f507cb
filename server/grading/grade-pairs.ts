/** Grades many pairs, several at a time, until all are done, the cap is reached, or someone asks to stop. */
import { Random } from "../common/random.ts";
import { inTurns } from "../endpoint/in-turns.ts";
import { quadraticKappa } from "../statistics/kappa.ts";
import { type GradeOptions, gradePair, type PairResult, type PairToGrade } from "./grade-pair.ts";
import { gradedSides, type SideGrading } from "./provenance.ts";
import { type DropReason, type GradingStep, type NeutralFault, neutralFaults } from "./reasons.ts";

export interface GradeAllOptions extends Omit<GradeOptions, "random"> {
  /** Number of pairs worked on concurrently. */
  readonly concurrency: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface GradedPairs {
  /** In the order of the pairs. */
  readonly contrasts: readonly Extract<PairResult, { kind: "contrast" }>["contrast"][];
  readonly dropped: readonly DroppedPair[];
  /** Contrasts without a neutral side, by reason. */
  readonly withoutNeutral: Partial<Readonly<Record<NeutralFault, number>>>;
  /** Agreement of both gradings of all answers that were graded twice, kept or not. */
  readonly agreement: Agreement;
  /** Pairs that were not reached. */
  readonly left: number;
  readonly stopped: "cap" | "signal" | null;
}

export interface DroppedPair {
  readonly id: string;
  readonly reason: DropReason;
  readonly step: GradingStep | null;
}

export interface Agreement {
  readonly answers: number;
  /** Share of answers with equal grades; null without answers. */
  readonly equal: number | null;
  /** Cohen's kappa with quadratic weights; null where all grades are one. */
  readonly kappa: number | null;
}

/**
 * Makes contrasts of pairs. Ends early, with what there is, at the cap and when the signal is aborted; throws what else
 * `gradePair` throws, once nothing is being asked any more.
 */
export async function gradePairs(pairs: readonly PairToGrade[], options: GradeAllOptions): Promise<GradedPairs> {
  const { seed, signal, onProgress } = options;
  const results = new Map<PairToGrade, PairResult>();
  const random = Random.fromSeed(seed);
  let stopped: GradedPairs["stopped"] = null;
  try {
    const capped = await inTurns(pairs, options, async (pair) => {
      results.set(pair, await gradePair(pair, { ...options, random: random.fork(pair.id) }));
      onProgress?.(results.size, pairs.length);
    });
    if (capped) stopped = "cap";
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    stopped = "signal";
  }
  const inOrder = pairs.flatMap((pair) => results.get(pair) ?? []);
  const contrasts = inOrder.flatMap((result) => (result.kind === "contrast" ? [result.contrast] : []));
  const dropped = inOrder.flatMap((result) => (result.kind === "dropped" ? [result] : []));
  const gradings = inOrder.flatMap((result) => gradingsOf(result));
  return {
    contrasts,
    dropped: dropped.map(({ id, reason, step }) => ({ id, reason, step })),
    withoutNeutral: countsOf(
      neutralFaults,
      contrasts.flatMap(({ provenance: { neutral } }) => ("fault" in neutral ? [neutral.fault] : [])),
    ),
    agreement: agreementOf(gradings),
    left: pairs.length - inOrder.length,
    stopped,
  };
}

/** How often each key of a table occurs, in the table's order. */
function countsOf<K extends string>(
  table: Readonly<Record<K, string>>,
  found: readonly K[],
): Partial<Record<K, number>> {
  const counts: Partial<Record<K, number>> = {};
  for (const key of Object.keys(table) as K[]) {
    const count = found.filter((one) => one === key).length;
    if (count > 0) counts[key] = count;
  }
  return counts;
}

function gradingsOf(result: PairResult): readonly (readonly [SideGrading, SideGrading])[] {
  const both = result.kind === "contrast" ? result.contrast.provenance.gradings : result.gradings;
  return both === null ? [] : [both];
}

function agreementOf(gradings: readonly (readonly [SideGrading, SideGrading])[]): Agreement {
  const first: number[] = [];
  const second: number[] = [];
  for (const [a, b] of gradings)
    for (const side of gradedSides) {
      const [x, y] = [a.grades[side], b.grades[side]];
      if (x === undefined || y === undefined) continue;
      first.push(x.grade);
      second.push(y.grade);
    }
  const equal = first.filter((grade, at) => grade === second[at]).length;
  return {
    answers: first.length,
    equal: first.length === 0 ? null : equal / first.length,
    kappa: quadraticKappa(first, second),
  };
}
