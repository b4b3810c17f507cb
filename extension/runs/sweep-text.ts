/** Describes sweeps in the few words that fit into a tree. Independent of VS Code. */
import type { RunView, SweepView } from "../../server/protocol/runs.ts";
import { isActive } from "./run-text.ts";

/** A sweep with its runs as far as they are known; those that are not count as not started. */
export interface KnownSweep {
  readonly sweep: SweepView;
  readonly runs: readonly RunView[];
}

/** What a sweep does: at work, over with every run done, over with failures, or with runs left to do. */
export type SweepState = "active" | "done" | "failed" | "unfinished";

export function sweepState({ sweep, runs }: KnownSweep): SweepState {
  if (sweep.isAtWork || runs.some(({ state }) => isActive(state))) return "active";
  if (runs.some(({ state }) => state.kind === "failed" || state.kind === "unreadable")) return "failed";
  return count(runs, "done") < sweep.runs.length ? "unfinished" : "done";
}

/** Progress of a sweep: `3 of 12 runs done · 1 running · 4 waiting · 1 failed`. */
export function sweepDescription({ sweep, runs }: KnownSweep): string {
  const parts = (["running", "waiting", "failed", "cancelled", "interrupted", "unreadable"] as const).flatMap(
    (kind) => {
      const found = count(runs, kind);
      return found === 0 ? [] : [`${found} ${kind}`];
    },
  );
  const total = sweep.runs.length;
  return [`${count(runs, "done")} of ${total} ${total === 1 ? "run" : "runs"} done`, ...parts].join(" · ");
}

/** A sweep in a sentence, for the tooltip and for screen readers. */
export function sweepSentence(known: KnownSweep): string {
  return `${known.sweep.name}: sweep, ${sweepDescription(known).replaceAll(" · ", ", ")}`;
}

/** Context value with the words that when-clauses match: `sweep active`, `sweep comparable unfinished`. */
export function sweepContext(known: KnownSweep): string {
  const words = ["sweep"];
  const state = sweepState(known);
  if (state === "active") words.push("active");
  else if (state !== "done") words.push("unfinished");
  if (known.runs.filter(isComparable).length > 1) words.push("comparable");
  return words.join(" ");
}

/** Whether a run has anything to set beside others. */
export function isComparable({ stages }: RunView): boolean {
  return stages.some(({ status }) => status === "done" || status === "reused");
}

function count(runs: readonly RunView[], kind: RunView["state"]["kind"]): number {
  return runs.filter(({ state }) => state.kind === kind).length;
}
