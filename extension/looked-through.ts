/** The lens's target in words, and its run if it is one. Independent of VS Code. */
import type { LensInfo, LensState, RunInfo } from "../server/protocol/lens-state.ts";
import { pairName } from "../server/protocol/pair-name.ts";

/** The open run; undefined while none is open or two checkpoints are compared. */
export function runInfoOf(lens: LensState): RunInfo | undefined {
  return lens.kind === "ready" && lens.info.kind === "run" ? lens.info : undefined;
}

/** The run's name, or `dpo compared with pythia`. */
export function nameOf(info: LensInfo): string {
  return info.kind === "run" ? info.runName : pairName(info);
}
