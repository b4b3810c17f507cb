import { describe, expect, it } from "vitest";
import type { RunView, StageView } from "../../server/protocol/runs.ts";
import { nameFrom } from "./new-experiment.ts";
import {
  compact,
  duration,
  progressOfRun,
  roughly,
  runContext,
  runDescription,
  runSentence,
  since,
  stageDescription,
} from "./run-text.ts";

const stage = (id: string, more: Partial<StageView> = {}): StageView => ({
  id,
  status: "todo",
  progress: null,
  summary: null,
  ...more,
});
const progress = { done: 64, total: 100, unit: "tokens", ratePerS: 41_234, secondsLeft: 161 };

function run(more: Partial<RunView>): RunView {
  return {
    folder: "/w/runs/demo",
    name: "demo",
    state: { kind: "new" },
    stages: [],
    updated: null,
    hasReport: false,
    hasProbe: false,
    dictionaries: null,
    stopping: false,
    overall: null,
    sweep: null,
    hasOutput: false,
    ...more,
  };
}

const now = new Date(2026, 10, 26, 12, 0);

describe("a run in few words", () => {
  const running = run({
    state: { kind: "running", stage: "autoencoders" },
    stages: [
      stage("tune", { status: "done", summary: "reward 0.07 to 0.58" }),
      stage("autoencoders", { status: "running", progress }),
    ],
  });

  it("at work says the stage and the time that is left", () => {
    expect(runDescription(running, now)).toBe("autoencoders · 2:41 left");
    expect(runSentence(running)).toBe("demo: running autoencoders · 2:41 left, 1 of 2 stages done");
    expect(running.stages.map(stageDescription)).toEqual(["reward 0.07 to 0.58", "64 % · 41k tokens/s · 2:41 left"]);
    expect(runContext(running)).toBe("run active curves");
  });

  it("at work says how far the whole run is, and by estimate for how long it goes on", () => {
    const overall = { share: 0.349, secondsLeft: 731 };
    expect(runDescription({ ...running, overall }, now)).toBe("autoencoders · 34 % of the run · about 12 minutes left");
    expect(progressOfRun({ ...running, overall: { share: 0, secondsLeft: null } })).toBe(
      "autoencoders · 0 % of the run",
    );
    expect([20, 100, 3590, 7800, 7190].map(roughly)).toEqual(["1 minute", "2 minutes", "1 h", "2 h 10 min", "2 h"]);
  });

  it("that was asked to stop says so, and is offered no second stop", () => {
    const stopping = { ...running, stopping: true };
    expect(runDescription(stopping, now)).toBe("stopping after the next checkpoint");
    expect(runSentence(stopping)).toContain("stopping after the next checkpoint");
    expect(runContext(stopping)).toBe("run curves");
  });

  it.each<[RunView["state"], string, string]>([
    [{ kind: "waiting", for: "another run" }, "waiting for another run", "run active"],
    [{ kind: "cancelled" }, "cancelled", "run resumable"],
    [{ kind: "interrupted" }, "interrupted", "run resumable"],
    [
      { kind: "failed", code: "resource", message: "disk full", stage: "tune", resumable: true },
      "failed in tune",
      "run resumable",
    ],
    [{ kind: "failed", code: "input", message: "no such file", resumable: false }, "failed", "run"],
    [{ kind: "unreadable", message: "run.json is no JSON" }, "cannot be read", "run"],
    [{ kind: "new" }, "not started", "run"],
  ])("%o", (state, description, context) => {
    expect(runDescription(run({ state }), now)).toBe(description);
    expect(runContext(run({ state }))).toBe(context);
    if ("message" in state) expect(runSentence(run({ state }))).toContain(state.message);
  });

  it("when done says when, and offers report and probe", () => {
    const done = run({
      state: { kind: "done" },
      updated: new Date(2026, 10, 25, 23, 59).toISOString(),
      hasReport: true,
      hasProbe: true,
    });
    expect(runDescription(done, now)).toBe("yesterday");
    expect(runContext(done)).toBe("run report probe");
  });
});

describe("numbers and times", () => {
  it.each([
    [41, "41 s"],
    [161, "2:41"],
    [3761, "1:02:41"],
    [-3, "0 s"],
    [59.6, "1:00"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it.each([
    [1_234_567, "1.2M"],
    [41_234, "41k"],
    [9876, "9876"],
    [99.5, "100"],
    [3.44, "3.4"],
    [0, "0"],
  ])("%d is %s", (value, text) => {
    expect(compact(value)).toBe(text);
  });

  it.each([
    [new Date(2026, 10, 26, 11, 59, 30), "just now"],
    [new Date(2026, 10, 26, 11, 59), "1 minute ago"],
    [new Date(2026, 10, 26, 11, 15), "45 minutes ago"],
    [new Date(2026, 10, 26, 0, 5), "today, 00:05"],
    [new Date(2026, 10, 25, 0, 1), "yesterday"],
    [new Date(2026, 10, 24, 23, 59), "24 Nov 2026"],
  ])("%s is %s", (then, text) => {
    expect(since(then, now)).toBe(text);
  });
});

describe("the name proposed for an experiment", () => {
  it.each([
    ["EleutherAI/pythia-70m@step1000", "pythia-70m"],
    ["./My Model (2)", "my-model-2"],
    ["paper/pythia-70m/vader", "paper-pythia-70m-vader"],
    ["quick", "quick"],
  ])("of %s is %s, which the schema takes", (text, name) => {
    expect(nameFrom(text)).toBe(name);
    expect(name).toMatch(/^[a-z0-9][a-z0-9-]{0,63}$/);
  });
});
