import { invariant } from "../common/errors.ts";

/** A count: how many of a group have a property. */
export interface Count {
  readonly hits: number;
  readonly of: number;
}

/**
 * Two-sided p of Fisher's exact test that two shares are equal: the probability, with the margins fixed, of all
 * tables that are no likelier than the observed one (Fisher 1935; `scipy.stats.fisher_exact`). 1 if either group is
 * empty.
 */
export function fisherExactP(a: Count, b: Count): number {
  for (const { hits, of } of [a, b])
    invariant(
      Number.isInteger(hits) && Number.isInteger(of) && hits >= 0 && hits <= of,
      `a share is of whole numbers, the first no larger, got ${hits} of ${of}`,
    );
  const hits = a.hits + b.hits;
  const lowest = Math.max(0, hits - b.of);
  const highest = Math.min(hits, a.of);
  // Probabilities relative to that of the mode, outwards from it, so that nothing overflows and what underflows adds
  // nothing.
  const mode = Math.min(highest, Math.max(lowest, Math.floor(((hits + 1) * (a.of + 1)) / (a.of + b.of + 2))));
  const up = (k: number): number => ((a.of - k) * (hits - k)) / ((k + 1) * (b.of - hits + k + 1));
  const chances = new Float64Array(highest - lowest + 1);
  chances[mode - lowest] = 1;
  for (let k = mode; k < highest; k++) chances[k + 1 - lowest] = (chances[k - lowest] ?? 0) * up(k);
  for (let k = mode; k > lowest; k--) chances[k - 1 - lowest] = (chances[k - lowest] ?? 0) / up(k - 1);
  const seen = (chances[a.hits - lowest] ?? 0) * (1 + tolerance);
  const total = chances.reduce((sum, chance) => sum + chance, 0);
  const extreme = chances.reduce((sum, chance) => (chance <= seen ? sum + chance : sum), 0);
  return Math.min(1, extreme / total);
}

/** Tables whose probabilities differ by less are equally likely; the difference is rounding. */
const tolerance = 1e-9;
