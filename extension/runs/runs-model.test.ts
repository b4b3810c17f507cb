import { expect, it } from "vitest";
import { ListRuns, RunsChanged, type RunView } from "../../server/protocol/runs.ts";
import { EventEmitter, messages, picks, shownLists } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import type { ServerConnection } from "../server-connection.ts";
import { RunsModel } from "./runs-model.ts";
import { cancelSweep, compareSweep } from "./sweep-commands.ts";

type State = RunView["state"];
const done: State = { kind: "done" };

function view(folder: string, state: State, updated: string | null, sweep: string | null = null): unknown {
  const stages = [{ id: "tune", status: state.kind === "new" ? "todo" : "done", progress: null, summary: null }];
  const name = folder.slice(folder.lastIndexOf("/") + 1);
  return { folder, name, state, stages, updated, hasReport: false, hasProbe: false, sweep };
}

const sweepOf = (name: string, runs: readonly string[], isAtWork = false) => ({
  folder: `/runs/${name}`,
  name,
  runs: runs.map((run) => `/runs/${name}/${run}`),
  isAtWork,
});

/** A model whose server lists these, and that a test tells of changes. */
function modelOf(listed: unknown) {
  const asked: unknown[] = [];
  const told = new EventEmitter<ReturnType<typeof RunsChanged.params.parse>>();
  const server = {
    request: async ({ method }: { readonly method: string }, params: unknown) => {
      if (method === ListRuns.method) return ListRuns.result.parse(listed);
      asked.push([method, params]);
      return {};
    },
    onNotification: (_type: unknown, listener: (told: ReturnType<typeof RunsChanged.params.parse>) => void) =>
      told.event(listener),
    onDidChangeState: () => ({ dispose: () => undefined }),
  };
  const model = new RunsModel(server as unknown as ServerConnection);
  const pages = { show: async (subject: unknown) => void asked.push(subject) };
  const extension = { server, runs: { model }, pages } as unknown as Extension;
  return { model, extension, asked, tell: (change: unknown) => told.fire(RunsChanged.params.parse(change)) };
}

const listed = {
  runs: [
    view("/runs/old", done, "2026-11-01"),
    view("/runs/new", done, "2026-11-03"),
    view("/runs/alphas/a1", done, "2026-11-02", "/runs/alphas"),
    view("/runs/alphas/a2", done, "2026-11-02", "/runs/alphas"),
    view("/runs/seeds/seed1", { kind: "running", stage: "tune" }, "2026-10-01", "/runs/seeds"),
    view("/runs/seeds/seed2", { kind: "new" }, null, "/runs/seeds"),
  ],
  sweeps: [sweepOf("alphas", ["a1", "a2"]), sweepOf("seeds", ["seed1", "seed2"], true)],
};

const namesOf = (model: RunsModel): string[] => model.rows().map((row) => ("runs" in row ? row.sweep.name : row.name));

it("rows are single runs and sweeps, active ones first and then the newest", async () => {
  const { model, tell } = modelOf(listed);
  await model.all();
  expect(namesOf(model)).toEqual(["seeds", "new", "alphas", "old"]);
  expect(model.sweep("/runs/seeds")?.runs.map(({ name }) => name)).toEqual(["seed1", "seed2"]);
  let changes: unknown[] = [];
  model.onDidChange((folders) => changes.push(folders));
  tell({ changed: [view("/runs/old", { kind: "running", stage: "tune" }, "2026-11-04")], gone: [] });
  expect(namesOf(model)).toEqual(["old", "seeds", "new", "alphas"]);
  // Without a word on sweeps they are as before; with one, the list is drawn anew.
  changes = [];
  tell({ changed: [], gone: [], sweeps: [sweepOf("seeds", ["seed2"])] });
  expect(changes).toEqual([undefined]);
  expect(namesOf(model)).toEqual(["old", "new", "seeds"]);
});

it("a sweep is stopped by its folder, and its runs with results are compared", async () => {
  const { extension, asked } = modelOf(listed);
  await cancelSweep(extension, { kind: "sweep", sweep: "/runs/seeds" });
  await compareSweep(extension, undefined);
  expect(asked).toEqual([
    ["lfp/cancelSweep", { folder: "/runs/seeds" }],
    { page: "compare", runFolders: ["/runs/alphas/a1", "/runs/alphas/a2"] },
  ]);
});

it("of several sweeps that fit a person picks one; without one it is said", async () => {
  const both = { ...listed, sweeps: [sweepOf("alphas", ["a1", "a2"], true), ...listed.sweeps.slice(1)] };
  const { extension, asked } = modelOf(both);
  picks.push("alphas");
  await cancelSweep(extension, undefined);
  expect(shownLists.at(-1)).toMatchObject([
    { label: "alphas", description: "2 of 2 runs done" },
    { label: "seeds", description: "0 of 2 runs done · 1 running" },
  ]);
  expect(asked).toEqual([["lfp/cancelSweep", { folder: "/runs/alphas" }]]);
  await cancelSweep(modelOf({ runs: [] }).extension, undefined);
  expect(messages.at(-1)).toBe("LFP Lens: there is no sweep that this fits.");
});

it("more runs than a page takes are not compared", async () => {
  const names = Array.from({ length: 51 }, (_, i) => `r${i}`);
  const runs = names.map((name) => view(`/runs/big/${name}`, done, null, "/runs/big"));
  const { extension } = modelOf({ runs, sweeps: [sweepOf("big", names)] });
  await expect(compareSweep(extension, undefined)).rejects.toThrow("51 runs with results");
});
