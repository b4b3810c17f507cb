import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { RunView } from "../../protocol/runs.ts";
import { pollMsOf, RunBoard } from "./run-board.ts";
import { viewRun } from "./run-view.ts";

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-board-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test("a sweep as large as one may be is known whole", async () => {
  const root = await scratch();
  const sweep = join(root, "seeds");
  await mkdir(sweep);
  const names = Array.from({ length: 1000 }, (_, at) => `seed${at}`);
  const runs = names.map((name) => ({ name, digest: name, settings: {}, isAsked: true }));
  await writeFile(join(sweep, "sweep.json"), JSON.stringify({ format: 1, runs }));
  const board = new RunBoard(vi.fn());
  onTestFinished(() => board.close());
  await board.watch([root]);
  expect(board.known().map(({ folder }) => folder)).toEqual(names.map((name) => join(sweep, name)));
});

test("many runs are polled less often, and many that are at rest do not keep those at work from being", async () => {
  const view = await viewRun(await scratch(), { summaries: new Map() });
  const resting = (count: number): RunView[] => Array(count).fill(view);
  const waiting: RunView = { ...view, state: { kind: "waiting", for: "its start" } };
  expect(view.state.kind).toBe("new");
  expect(pollMsOf(view, resting(200))).toBe(5000);
  expect(pollMsOf(view, resting(1000))).toBe(20_000);
  expect(pollMsOf(undefined, [])).toBe(5000);
  expect(pollMsOf(waiting, [waiting, ...resting(1000)])).toBe(1000);
  expect(pollMsOf(waiting, Array(1000).fill(waiting))).toBe(20_000);
});
