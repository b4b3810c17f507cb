import { describe, expect, it } from "vitest";
import type { RunView } from "../../server/protocol/runs.ts";
import { RowChanges } from "./row-changes.ts";

const at = (done: number, state: RunView["state"] = { kind: "running", stage: "tune" }): RunView => ({
  folder: "/runs/one",
  name: "one",
  state,
  stages: [
    { id: "prepare", status: "done", progress: null, summary: "600 texts" },
    {
      id: "tune",
      status: "running",
      progress: { done, total: 100, unit: "steps", ratePerS: 1, secondsLeft: 100 - done },
      summary: null,
    },
  ],
  updated: null,
  hasReport: false,
  hasProbe: false,
  dictionaries: null,
  stopping: false,
  overall: null,
  sweep: null,
  hasOutput: false,
});

describe("the rows that are drawn anew", () => {
  it("are the run's at first, then only those of stages that went on", () => {
    const changes = new RowChanges();
    expect(changes.of(at(1), 0)).toBe("run");
    expect(changes.of(at(2), 250)).toEqual(["tune"]);
    expect(changes.of(at(2), 500)).toEqual([]);
  });

  it("are the run's when its time left has not been told for five seconds", () => {
    const changes = new RowChanges();
    changes.of(at(1), 0);
    expect(changes.of(at(5), 4999)).toEqual(["tune"]);
    expect(changes.of(at(6), 5000)).toBe("run");
    expect(changes.of(at(7), 5250)).toEqual(["tune"]);
  });

  it("are the run's as soon as its state changes, and of each run by itself", () => {
    const changes = new RowChanges();
    changes.of(at(1), 0);
    expect(changes.of(at(1, { kind: "cancelled", stage: "tune" }), 1)).toBe("run");
    expect(changes.of({ ...at(1), folder: "/runs/two" }, 2)).toBe("run");
  });
});
