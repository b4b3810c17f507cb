/** What the lens looks through, in words, and what of it is a run's. Knows no editor. */
import type { LensInfo, LensState, RunInfo } from "../server/protocol/lens-state.ts";
import { pairName } from "../server/protocol/pair-name.ts";

/** The run that is open; undefined while none is, or two checkpoints are compared. */
export function runInfoOf(lens: LensState): RunInfo | undefined {
  return lens.kind === "ready" && lens.info.kind === "run" ? lens.info : undefined;
}

/** The run's name, or `dpo compared with pythia`. */
export function nameOf(info: LensInfo): string {
  return info.kind === "run" ? info.runName : pairName(info);
}
