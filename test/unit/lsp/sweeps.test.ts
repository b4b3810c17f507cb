/** Sweeps and the output of runs, as the server shows them to an editor. */
import { appendFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { loadSweep } from "../../../server/pipeline/sweep/expand.ts";
import { sweepLock } from "../../../server/pipeline/sweep/manifest.ts";
import { placeSweep, recordSweep } from "../../../server/pipeline/sweep/sweep-folder.ts";
import { CancelSweep, ListRuns, ResumeRun, RunOutput, RunSeries, RunsChanged } from "../../../server/protocol/runs.ts";
import { disk } from "../../../server/runs/files.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { Lock } from "../../../server/runs/run-lock.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";

const clients: LspClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(runsRoot: string, trusted = true): Promise<LspClient> {
  const client = await LspClient.start({ options: { runsRoots: [runsRoot], trusted } });
  clients.push(client);
  return client;
}

async function runsFolder(): Promise<string> {
  const folder = join(await scratchFolder(), "runs");
  await mkdir(folder);
  return folder;
}

/** Records a sweep over these seeds as `lfp sweep` does. */
async function makeSweep(runsRoot: string, seeds: readonly number[]): Promise<string> {
  const folder = join(runsRoot, "seeds");
  const file = join(runsRoot, "..", "seeds.lfp-sweep.json");
  await writeFile(file, JSON.stringify({ base: "quick", seeds }));
  await recordSweep(folder, await placeSweep(folder, await loadSweep(file)));
  return folder;
}

test("a sweep is listed with its runs, is told when it begins, grows and is worked on, and goes with its folder", async () => {
  const runsRoot = await runsFolder();
  await prepareRun(runsRoot, "single", { preset: "quick" });
  const client = await start(runsRoot);
  expect(await client.ask(ListRuns, {})).toMatchObject({ runs: [{ name: "single", sweep: null }], sweeps: [] });
  const folder = await makeSweep(runsRoot, [1, 2]);
  const runs = [join(folder, "seed1"), join(folder, "seed2")];
  const told = await client.heard(RunsChanged, ({ sweeps }) => sweeps?.length === 1);
  expect(told.sweeps).toEqual([{ folder, name: "seeds", runs, isAtWork: false }]);
  const listed = await client.ask(ListRuns, {});
  expect(listed.sweeps).toEqual(told.sweeps);
  expect(listed.runs.map(({ name, sweep }) => [name, sweep])).toEqual([
    ["single", null],
    ["seed1", folder],
    ["seed2", folder],
  ]);

  const lock = await Lock.acquire(sweepLock(folder), "sweep seeds", "sweep seeds");
  await client.heard(RunsChanged, ({ sweeps }) => sweeps?.[0]?.isAtWork === true);
  await lock.release();
  // What the sweep asks for no more leaves the list; its folder stays.
  await makeSweep(runsRoot, [2, 3]);
  const { gone } = await client.heard(RunsChanged, (change) => change.gone.includes(join(folder, "seed1")));
  expect(gone).toEqual([join(folder, "seed1")]);
  const grown = await client.ask(ListRuns, {});
  expect(grown.sweeps).toMatchObject([{ runs: [join(folder, "seed2"), join(folder, "seed3")], isAtWork: false }]);

  await disk.rm(folder, { recursive: true });
  await client.heard(RunsChanged, ({ sweeps }) => sweeps?.length === 0);
  expect(await client.ask(ListRuns, {})).toMatchObject({ runs: [{ name: "single" }], sweeps: [] });
});

test("requests reach runs in a sweep's folder, and no other folders below those of runs", async () => {
  const runsRoot = await runsFolder();
  const folder = await makeSweep(runsRoot, [1, 2]);
  const client = await start(runsRoot);
  const series = (run: string) => ({ folder: run, offset: 0, maxLines: 10 });
  expect(await client.ask(RunSeries, series(join(folder, "seed1")))).toEqual({ offset: 0, lines: [] });
  await mkdir(join(runsRoot, "notes", "one"), { recursive: true });
  for (const other of [join(runsRoot, "notes", "one"), join(folder, "seed1", "stages"), join(folder, "..", "..", "x")])
    expect(await client.failure(RunSeries, series(other))).toMatchObject({ code: "usage" });
  await symlink(join(runsRoot, ".."), join(folder, "seed9"));
  expect(await client.failure(RunSeries, series(join(folder, "seed9")))).toMatchObject({ code: "usage" });
  expect(await client.failure(CancelSweep, { folder: join(runsRoot, "notes") })).toMatchObject({ code: "usage" });
  expect(await client.ask(CancelSweep, { folder })).toEqual({});
});

test("in Restricted Mode a sweep is shown and not stopped", async () => {
  const runsRoot = await runsFolder();
  const folder = await makeSweep(runsRoot, [1]);
  const client = await start(runsRoot, false);
  expect((await client.ask(ListRuns, {})).sweeps).toHaveLength(1);
  expect(await client.failure(CancelSweep, { folder })).toMatchObject({ code: "usage" });
  expect(await client.failure(ResumeRun, { folder: join(folder, "seed1") })).toMatchObject({ code: "usage" });
});

test("a run's output is read as it grows, by bytes, with what acts on a screen made visible", async () => {
  const runsRoot = await runsFolder();
  const folder = await prepareRun(runsRoot, "demo", {});
  const { output } = runPaths(folder);
  const client = await start(runsRoot);
  const ask = (offset: number | null) => client.ask(RunOutput, { folder, offset });
  expect(await ask(null)).toEqual({ start: 0, offset: 0, text: "" });
  expect((await client.ask(ListRuns, {})).runs[0]?.hasOutput).toBe(false);
  await writeFile(output, Buffer.concat([Buffer.from("tune 10 %\nüber \u001b[2J"), Buffer.from("é").subarray(0, 1)]));
  const first = await ask(null);
  expect(first).toEqual({ start: 0, offset: 20, text: "tune 10 %\nüber \\u001b[2J" });
  expect(await ask(first.offset)).toEqual({ start: 20, offset: 20, text: "" });
  await appendFile(output, Buffer.concat([Buffer.from("é").subarray(1), Buffer.from("\n")]));
  expect(await ask(first.offset)).toEqual({ start: 20, offset: 23, text: "é\n" });
  expect((await client.ask(ListRuns, {})).runs[0]?.hasOutput).toBe(true);
  // A file that was begun anew is read from its beginning.
  await writeFile(output, "again\n");
  expect(await ask(23)).toEqual({ start: 0, offset: 6, text: "again\n" });
});

test("of a long output the last lines are read, then all that follows in pieces", async () => {
  const runsRoot = await runsFolder();
  const folder = await prepareRun(runsRoot, "demo", {});
  const lines = Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`);
  await writeFile(runPaths(folder).output, lines.join(""));
  const client = await start(runsRoot);
  const last = await client.ask(RunOutput, { folder, offset: null });
  expect(lines.join("").endsWith(last.text)).toBe(true);
  expect(last.text).toMatch(/^line \d+\n/);
  expect(last.text.length).toBeGreaterThan(200_000);
  let all = "";
  for (let offset = 0, start = -1; offset !== start; ) {
    const piece = await client.ask(RunOutput, { folder, offset });
    ({ offset, start } = piece);
    all += piece.text;
  }
  expect(all).toBe(lines.join(""));
});
