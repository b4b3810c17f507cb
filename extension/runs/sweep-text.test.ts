import { describe, expect, it } from "vitest";
import type { RunView } from "../../server/protocol/runs.ts";
import { type KnownSweep, sweepContext, sweepDescription, sweepSentence, sweepState } from "./sweep-text.ts";

type State = RunView["state"];
const failed: State = { kind: "failed", code: "resource", message: "full", resumable: true };

/** A sweep of four runs, of which these are known. */
function sweep(states: readonly State[], isAtWork = false): KnownSweep {
  const folders = [1, 2, 3, 4].map((seed) => `/runs/seeds/seed${seed}`);
  const runs = states.map((state, at) => ({
    folder: folders[at] ?? "",
    name: `seed${at + 1}`,
    state,
    stages: [{ id: "tune", status: state.kind === "new" ? "todo" : "done", progress: null, summary: null } as const],
    updated: null,
    hasReport: false,
    hasProbe: false,
    dictionaries: null,
    stopping: false,
    overall: null,
    sweep: "/runs/seeds",
    hasOutput: false,
  }));
  return { sweep: { folder: "/runs/seeds", name: "seeds", runs: folders, isAtWork }, runs };
}

const done: State = { kind: "done" };
const waiting: State = { kind: "waiting", for: "a node" };
const fresh: State = { kind: "new" };

describe("a sweep", () => {
  it.each<[string, KnownSweep, string, string]>([
    ["is recorded and starts", sweep([fresh, fresh, fresh, fresh], true), "0 of 4 runs done", "sweep active"],
    [
      "is half done",
      sweep([done, { kind: "running", stage: "tune" }, waiting, waiting]),
      "1 of 4 runs done · 1 running · 2 waiting",
      "sweep active comparable",
    ],
    [
      "is between two runs of its process",
      sweep([done, fresh, fresh, fresh], true),
      "1 of 4 runs done",
      "sweep active",
    ],
    ["was left", sweep([done, fresh]), "1 of 4 runs done", "sweep unfinished"],
    [
      "has a failed run",
      sweep([done, done, done, failed]),
      "3 of 4 runs done · 1 failed",
      "sweep unfinished comparable",
    ],
    [
      "was stopped",
      sweep([done, { kind: "cancelled" }]),
      "1 of 4 runs done · 1 cancelled",
      "sweep unfinished comparable",
    ],
    ["is done", sweep([done, done, done, done]), "4 of 4 runs done", "sweep comparable"],
  ])("that %s says so", (_, known, description, context) => {
    expect(sweepDescription(known)).toBe(description);
    expect(sweepContext(known)).toBe(context);
    expect(sweepSentence(known)).toBe(`seeds: sweep, ${description.replaceAll(" · ", ", ")}`);
  });

  it("is active before it is failed, and failed before it is unfinished", () => {
    expect(sweepState(sweep([failed, waiting]))).toBe("active");
    expect(sweepState(sweep([failed, fresh]))).toBe("failed");
    expect(sweepState(sweep([done, fresh]))).toBe("unfinished");
  });
});
