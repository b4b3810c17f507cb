/** Leverage of a passage's tokens: how far they lie from what the probe was fitted on. */
import { FormsWork } from "../common/centred-form.loops.ts";
import { Pacer } from "../common/pacer.ts";
import type { SparseRows } from "./sparse.loops.ts";
import type { LensFamiliarity } from "./subject.ts";

/**
 * Whether a token is so far that the probe's output is an extrapolation. `familiarity` as in `Reading`; null:
 * unknown.
 */
export function isUnfamiliar(familiarity: number | null): boolean {
  return familiarity !== null && familiarity > 1;
}

/**
 * Leverage of every token's features divided by the limit. A long passage with dense features takes seconds: the
 * function yields to the event loop meanwhile, and rejects with an aborted signal's reason.
 */
export async function familiarityOf(
  { leverage, limit }: LensFamiliarity,
  features: SparseRows,
  signal: AbortSignal,
): Promise<Float64Array> {
  const pacer = new Pacer(signal);
  const work = new FormsWork(leverage, features);
  while (!work.goOn(PIECE)) await pacer.pause();
  return work.forms.map((form) => form / limit);
}

/** Operations between two yields: about a millisecond. */
const PIECE = 2 ** 20;
