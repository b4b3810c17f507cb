/** How far a whole run is, and for how long it goes on: an estimate from what its stages usually take. */
import type { StageView } from "../../protocol/runs.ts";

/**
 * Each stage's usual share of a run's time, by the stage's name: medians over nine runs of the preset `quick` on two
 * cores. Other experiments divide their time otherwise; what their own stages took corrects the pace, not the shares.
 */
const usualShares: Readonly<Record<string, number>> = {
  prepare: 0.001,
  tune: 0.14,
  evaluate: 0.015,
  divergence: 0.001,
  learned: 0.03,
  autoencoders: 0.3,
  similarity: 0.001,
  triples: 0.004,
  "collect-base": 0.02,
  "collect-tuned": 0.02,
  "log-ratio": 0.005,
  probe: 0.085,
  fitted: 0.024,
  examples: 0.055,
  explain: 0.006,
  attribute: 0.026,
  restore: 0.012,
  ablate: 0.26,
  report: 0.001,
};
/** For a stage that no measured run has. */
const OTHER_SHARE = 0.02;

/** A stage as the estimate sees it: its view, its name (of which a plan may have several), and how long it took. */
export interface TimedStage extends Pick<StageView, "status" | "progress"> {
  readonly stage: string;
  /** Null if unknown; only read of finished stages. */
  readonly workedMs: number | null;
}

export interface RunEstimate {
  /** Share of the run's work that is done, 0 to 1. */
  readonly share: number;
  /** Null until a pace is known. */
  readonly secondsLeft: number | null;
}

/** Estimates a run's progress. Stages that were reused took no time and count neither as work nor as done. */
export function estimateRun(stages: readonly TimedStage[]): RunEstimate {
  let [all, done, timed, seconds, left] = [0, 0, 0, 0, 0];
  let isKnown = true;
  for (const { stage, status, progress, workedMs } of stages) {
    if (status === "reused") continue;
    const weight = usualShares[stage] ?? OTHER_SHARE;
    all += weight;
    if (status === "done") {
      done += weight;
      if (workedMs !== null) [timed, seconds] = [timed + weight, seconds + workedMs / 1000];
    } else if (status === "running" && progress !== null) {
      const part = progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
      done += weight * part;
      if (progress.secondsLeft === null || progress.ratePerS === null) isKnown = part === 1;
      else
        [timed, seconds, left] = [timed + weight, seconds + progress.total / progress.ratePerS, progress.secondsLeft];
    }
  }
  const share = all === 0 ? 0 : done / all;
  if (timed === 0 || !isKnown) return { share, secondsLeft: null };
  const todo = stages.filter(
    ({ status, progress }) => status === "todo" || (status === "running" && progress === null),
  );
  const weightLeft = todo.reduce((sum, { stage }) => sum + (usualShares[stage] ?? OTHER_SHARE), 0);
  return { share, secondsLeft: left + (weightLeft * seconds) / timed };
}
