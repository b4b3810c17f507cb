import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LensState } from "../../server/protocol/lens-state.ts";
import type { RunView } from "../../server/protocol/runs.ts";
import { answers, EventEmitter, executed, messages, shownChoices } from "../../test/support/vscode-stub.ts";
import { endOf, type NewsParts, RunNews } from "./run-news.ts";
import type { KnownSweep } from "./sweep-text.ts";

function run(state: RunView["state"], folder = "/runs/quick"): RunView {
  const name = folder.slice("/runs/".length);
  const own = { dictionaries: null, stopping: false, overall: null, sweep: null, hasOutput: false };
  return { folder, name, state, stages: [], updated: null, hasReport: true, hasProbe: true, ...own };
}

const through = (folder: string): LensState => ({ kind: "chosen", target: { kind: "run", folder } });
const running: RunView["state"] = { kind: "running", stage: "report" };

function started(lens: LensState) {
  const [lensChanged, runsChanged] = [new EventEmitter<LensState>(), new EventEmitter<unknown>()];
  const gone: string[] = [];
  let runs: readonly RunView[] = [];
  let sweeps: readonly KnownSweep[] = [];
  let isChoosing = false;
  const news = new RunNews({
    lens,
    onDidChangeLens: lensChanged.event,
    runs: { model: { known: () => runs, sweeps: () => sweeps, onDidChange: runsChanged.event } },
    isChoosing: () => isChoosing,
    lookThrough: async (folder: string) => void gone.push(folder),
  } as unknown as NewsParts);
  return {
    gone,
    news,
    runs: (...now: readonly RunView[]): void => {
      runs = now;
      runsChanged.fire(undefined);
    },
    sweep: (known: KnownSweep): void => {
      sweeps = [known];
      runs = known.runs;
      runsChanged.fire(undefined);
    },
    look: (state: LensState, byPerson = false): void => {
      isChoosing = byPerson;
      lensChanged.fire(state);
      isChoosing = false;
    },
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  for (const list of [answers, messages, executed, shownChoices]) list.length = 0;
});

describe("the news of runs", () => {
  it.each([
    ["running", { kind: "done" }, "done"],
    ["waiting", { kind: "interrupted" }, "interrupted"],
    ["running", { kind: "cancelled" }, undefined],
    ["done", { kind: "done" }, undefined],
    [undefined, { kind: "done" }, undefined],
  ] as const)("tell after %s of the state %o: %s", (before, state, end) => {
    expect(endOf(before, run(state))).toBe(end);
  });

  it("tell once of a run that finishes, with its report, and that texts are read through it from now on", async () => {
    const { runs, look, gone } = started(through("/x/starter-run"));
    runs(run(running));
    runs(run({ kind: "done" }));
    look(through("/runs/quick"));
    expect(messages).toEqual([]);
    answers.push("Go Back to starter-run");
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual(["LFP Lens: the run quick has finished. Texts are read through it from now on."]);
    expect(shownChoices).toEqual([["Open Report", "Go Back to starter-run"]]);
    expect(gone).toEqual(["/x/starter-run"]);
    runs(run({ kind: "done" }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toHaveLength(1);
  });

  it("open the report of a run that finishes while the lens stays where a person put it", async () => {
    const { runs } = started(through("/runs/other"));
    runs(run(running));
    answers.push("Open Report");
    runs(run({ kind: "done" }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual(["LFP Lens: the run quick has finished."]);
    expect(executed).toEqual([["lfpLens.openReport", { folder: "/runs/quick" }]]);
  });

  it("tell why a run failed", async () => {
    const { runs } = started({ kind: "none" });
    runs(run(running));
    runs(run({ kind: "failed", code: "resource", message: "the disk is full", resumable: true }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual(["LFP Lens: the run quick failed: the disk is full"]);
  });

  it("tell why a run was interrupted", async () => {
    const { runs } = started({ kind: "none" });
    runs(run(running));
    runs(run({ kind: "interrupted", why: "its job was not submitted: sbatch failed" }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual(["LFP Lens: the run quick was interrupted: its job was not submitted: sbatch failed"]);
  });

  it("tell of a sweep as a whole, and not of its runs, nor where a person cancelled it", async () => {
    const { sweep } = started({ kind: "none" });
    const folders = ["/runs/seeds/seed1", "/runs/seeds/seed2"];
    const stages: RunView["stages"] = [{ id: "tune", status: "done", progress: null, summary: null }];
    const at = (isAtWork: boolean, ...states: RunView["state"][]): KnownSweep => ({
      sweep: { folder: "/runs/seeds", name: "seeds", runs: folders, isAtWork },
      runs: states.map((state, i) => ({ ...run(state, folders[i]), sweep: "/runs/seeds", stages })),
    });
    sweep(at(true, running, { kind: "new" }));
    sweep(at(true, { kind: "done" }, running));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual([]);
    answers.push("Compare Runs");
    sweep(at(false, { kind: "done" }, { kind: "failed", code: "resource", message: "full", resumable: true }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toEqual(["LFP Lens: the sweep seeds has ended: 1 of 2 runs done · 1 failed."]);
    expect(executed).toEqual([["lfpLens.compareSweep", { sweep: "/runs/seeds" }]]);
    sweep(at(true, { kind: "done" }, running));
    sweep(at(false, { kind: "done" }, { kind: "cancelled" }));
    await vi.advanceTimersByTimeAsync(2000);
    expect(messages).toHaveLength(1);
  });

  it("tell of a move that no run's end explains, unless a person chose it or nothing was looked through", async () => {
    const { look } = started({ kind: "none" });
    look(through("/runs/one"));
    look(through("/runs/two"), true);
    expect(messages).toEqual([]);
    look(through("/runs/three"));
    await vi.advanceTimersByTimeAsync(0);
    expect(messages).toEqual([expect.stringContaining("read through the run three from now on")]);
  });
});
