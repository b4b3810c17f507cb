/** How many stages the runs of a sweep have in common, before anything is computed. */

import { plannedKeys } from "../../runs/planned-keys.ts";
import type { PlannedStage } from "../../runs/stage.ts";

export interface StageCount {
  /** Stages of all runs. */
  readonly stages: number;
  /** Those that have to be computed at most: the others are shared. */
  readonly different: number;
  /** Names of stages that at least two runs share, in the order of the plans. */
  readonly shared: readonly string[];
}

/** Counts stages over plans with the runs' seeds. */
export function countStages(
  plans: readonly { readonly plan: readonly PlannedStage[]; readonly seed: number }[],
): StageCount {
  const seen = new Map<string, { readonly id: string; count: number }>();
  let stages = 0;
  for (const { plan, seed } of plans) {
    const keys = new Map([...plannedKeys(plan, seed)].map(([{ id }, key]) => [key, id]));
    stages += keys.size;
    for (const [key, id] of keys) {
      const known = seen.get(key) ?? { id, count: 0 };
      known.count += 1;
      seen.set(key, known);
    }
  }
  const shared = [...seen.values()].filter(({ count }) => count > 1).map(({ id }) => id);
  return { stages, different: seen.size, shared: [...new Set(shared)] };
}
