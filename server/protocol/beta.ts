/** The factor from log-ratios to margins of preference pairs. */
import type { LensInfo } from "./lens-state.ts";

/** The beta of margins: DPO's own where the run was tuned by it, otherwise 1. */
export function betaOf(info: LensInfo): { readonly beta: number; readonly isKnown: boolean } {
  const beta = info.kind === "run" ? info.beta : null;
  return { beta: beta ?? 1, isKnown: beta !== null };
}

/** `beta 0.1`, or `beta 1, as none is known`. */
export function betaWords(info: LensInfo): string {
  const { beta, isKnown } = betaOf(info);
  return isKnown ? `beta ${beta}` : "beta 1, as none is known";
}
