import { describe, expect, it } from "vitest";
import type { StageProgress } from "../../protocol/run-events.ts";
import { estimateRun, type TimedStage } from "./run-estimate.ts";

const progress = (done: number, more: Partial<StageProgress> = {}): StageProgress => ({
  done,
  total: 100,
  unit: "steps",
  ratePerS: 2,
  secondsLeft: (100 - done) / 2,
  ...more,
});
const stage = (name: string, more: Partial<TimedStage>): TimedStage => ({
  stage: name,
  status: "todo",
  progress: null,
  workedMs: null,
  ...more,
});

describe("the estimate of a run", () => {
  it("counts stages by what they usually take, and leaves out those that were reused", () => {
    // Shares: tune 0.14, autoencoders 0.3, ablate 0.26.
    const stages = [
      stage("prepare", { status: "reused" }),
      stage("tune", { status: "done", workedMs: 70_000 }),
      stage("autoencoders", { status: "running", progress: progress(50) }),
      stage("ablate", {}),
    ];
    const { share, secondsLeft } = estimateRun(stages);
    expect(share).toBeCloseTo((0.14 + 0.15) / 0.7, 9);
    // 70 s for 0.14 and 50 s for 0.3 of the work so far; 25 s of this stage are left, and 0.26 of the work.
    expect(secondsLeft).toBeCloseTo(25 + (0.26 * 120) / 0.44, 9);
  });

  it("has no time before there is a pace, and is at its end when all is done", () => {
    expect(estimateRun([stage("tune", {}), stage("ablate", {})])).toEqual({ share: 0, secondsLeft: null });
    const first = stage("tune", { status: "running", progress: progress(0, { ratePerS: null, secondsLeft: null }) });
    expect(estimateRun([first, stage("ablate", {})])).toEqual({ share: 0, secondsLeft: null });
    expect(estimateRun([stage("tune", { status: "done", workedMs: 1000 })])).toEqual({ share: 1, secondsLeft: 0 });
  });

  it("never goes back as stages go on", () => {
    const at = (tune: Partial<TimedStage>, sae: Partial<TimedStage>): number =>
      estimateRun([stage("tune", tune), stage("autoencoders", sae), stage("unheard-of", {})]).share;
    const shares = [
      at({ status: "running", progress: progress(10) }, {}),
      at({ status: "running", progress: progress(100) }, {}),
      at({ status: "done", workedMs: 5 }, {}),
      at({ status: "done", workedMs: 5 }, { status: "running" }),
      at({ status: "done", workedMs: 5 }, { status: "running", progress: progress(1) }),
    ];
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  });
});
