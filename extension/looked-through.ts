/** What the lens looks through, in words, and what of it is a run's. Knows no editor. */
import type { LensInfo, LensState, LensTarget, RunInfo } from "../server/protocol/lens-state.ts";

/** The run that is open; undefined while none is, or two checkpoints are compared. */
export function runInfoOf(lens: LensState): RunInfo | undefined {
  return lens.kind === "ready" && lens.info.kind === "run" ? lens.info : undefined;
}

/** The run's name, or `dpo-model compared with pythia`. */
export function nameOf(info: LensInfo): string {
  return info.kind === "run" ? info.runName : pairName(info);
}

/** Checkpoints by the ends of their paths that tell them apart. */
export function pairName({ tuned, base }: Omit<Extract<LensTarget, { kind: "pair" }>, "kind">): string {
  const [one, other] = [partsOf(tuned), partsOf(base)];
  const most = Math.max(one.length, other.length);
  let count = 1;
  while (count < most && endOf(one, count) === endOf(other, count)) count += 1;
  return `${endOf(one, count)} compared with ${endOf(other, count)}`;
}

function partsOf(path: string): string[] {
  return path.split(/[/\\]/).filter((part) => part !== "");
}

function endOf(parts: readonly string[], count: number): string {
  return parts.slice(-count).join("/");
}
