import { LfpError } from "../common/errors.ts";

/** There are fewer groups than folds, so that none could be held out. */
export class TooFewGroupsError extends LfpError {
  readonly code = "input";

  constructor(groups: number, folds: number) {
    super(
      `${groups} groups cannot be dealt into ${folds} folds; give more groups (of pairs: more prompts, as by data.heldOut or contrasts.pairs) or take fewer folds`,
    );
  }
}

/** Row indices for training and for testing; no group is on both sides. */
export interface GroupFold {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * Deals rows into folds by group: the largest group first, each to the fold with the fewest rows so far
 * (`sklearn.model_selection.GroupKFold`; groups of one size in the order in which they first appear). Every row is
 * tested once. Throws `TooFewGroupsError`.
 */
export function groupFolds(groups: readonly string[], folds: number): GroupFold[] {
  const sizes = new Map<string, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  if (sizes.size < folds) throw new TooFewGroupsError(sizes.size, folds);
  const load = new Array<number>(folds).fill(0);
  const foldOf = new Map<string, number>();
  for (const [group, size] of [...sizes].sort(([, a], [, b]) => b - a)) {
    const lightest = load.indexOf(Math.min(...load));
    load[lightest] = (load[lightest] ?? 0) + size;
    foldOf.set(group, lightest);
  }
  const rows = Int32Array.from(groups.keys());
  return load.map((_, fold) => ({
    train: rows.filter((row) => foldOf.get(groups[row] ?? "") !== fold),
    test: rows.filter((row) => foldOf.get(groups[row] ?? "") === fold),
  }));
}
