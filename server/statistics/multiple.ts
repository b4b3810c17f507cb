/**
 * P-values corrected for multiple testing, so that the smallest still holds, by Holm's step-down (Scand. J. Statist.
 * 6, 1979): the i-th smallest of m, counted from 0, times m - i, never below one before it, at most 1. In the given
 * order; a null stays null and does not count.
 */
export function holmAdjusted(ps: readonly (number | null)[]): (number | null)[] {
  const ranked = [...ps.entries()].flatMap(([at, p]) => (p === null ? [] : [{ at, p }])).toSorted((a, b) => a.p - b.p);
  const adjusted: (number | null)[] = ps.map(() => null);
  let reached = 0;
  for (const [rank, { at, p }] of ranked.entries()) {
    reached = Math.max(reached, Math.min(1, (ranked.length - rank) * p));
    adjusted[at] = reached;
  }
  return adjusted;
}
