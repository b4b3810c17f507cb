/** The lens's target in words, and its run if it is one. Independent of VS Code. */
import type { LensInfo, LensState, PairInfo, RunInfo } from "../server/protocol/lens-state.ts";
import { pairName } from "../server/protocol/pair-name.ts";

/** The open run; undefined while none is open or two checkpoints are compared. */
export function runInfoOf(lens: LensState): RunInfo | undefined {
  return lens.kind === "ready" && lens.info.kind === "run" ? lens.info : undefined;
}

/** The run's name, `dpo compared with pythia`, or `quick minus steady`. */
export function nameOf(info: LensInfo): string {
  if (info.kind === "run") return info.runName;
  const { difference } = info;
  return difference === undefined ? pairName(info) : `${difference.a.name} minus ${difference.b.name}`;
}

/** The runs whose learned rewards are compared; undefined while something else is looked through. */
export function differenceIn(lens: LensState): PairInfo["difference"] {
  return lens.kind === "ready" && lens.info.kind === "pair" ? lens.info.difference : undefined;
}
