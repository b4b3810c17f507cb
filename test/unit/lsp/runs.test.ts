import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { CompareRuns } from "../../../server/protocol/comparison.ts";
import {
  CancelRun,
  ListRuns,
  ReadReport,
  ResumeRun,
  RunSeries,
  RunsChanged,
  StartRun,
} from "../../../server/protocol/runs.ts";
import { EventLog } from "../../../server/runs/event-log.ts";
import { disk } from "../../../server/runs/files.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { workerOf } from "../runs/worker.ts";

const clients: LspClient[] = [];
const started: string[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
  for (const folder of started.splice(0)) {
    const left = await workerOf(folder);
    if (left !== undefined) process.kill(left.pid, "SIGKILL");
  }
});

async function start(runsRoot: string): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [runsRoot], trusted: true },
    env: { LFP_STATE_DIR: join(runsRoot, "..", "state") },
  });
  clients.push(client);
  return client;
}

async function runsFolder(): Promise<string> {
  const folder = join(await scratchFolder(), "runs");
  await mkdir(folder);
  return folder;
}

test("a run that one server starts is followed by another within 2 s of its own start, cancelled, and gone on with", async () => {
  const runsRoot = await runsFolder();
  const first = await start(runsRoot);
  const { folder } = await first.ask(StartRun, { experiment: "quick", runsRoot, name: "mine" });
  started.push(folder);
  expect(folder).toBe(join(runsRoot, "mine"));
  await first.kill();
  clients.pop();
  const living = await workerOf(folder);
  expect(living).toBeDefined();

  const second = await start(runsRoot);
  const fromMs = performance.now();
  const { runs } = await second.ask(ListRuns, {});
  expect(performance.now() - fromMs).toBeLessThan(2000);
  expect(runs).toMatchObject([{ folder, name: "mine", state: { kind: expect.stringMatching(/waiting|running/) } }]);
  const live = await second.heard(RunsChanged, ({ changed }) =>
    changed.some(({ stages }) => stages.some(({ progress }) => (progress?.done ?? 0) > 0)),
  );
  expect(live.changed[0]?.stages.map(({ id }) => id)).toContain("autoencoders");
  expect((await workerOf(folder))?.pid).toBe(living?.pid);

  const before = live.changed.find((run) => run.folder === folder)?.overall;
  expect(before?.share).toBeGreaterThanOrEqual(0);
  // A second request does no harm: the run still stops at a checkpoint, and is cancelled, not interrupted.
  expect(await second.ask(CancelRun, { folder })).toEqual({});
  expect(await second.ask(CancelRun, { folder })).toEqual({});
  await second.heard(RunsChanged, ({ changed }) => changed.some(({ state }) => state.kind === "cancelled"));
  expect(await second.ask(ResumeRun, { folder })).toEqual({ folder });
  await second.heard(RunsChanged, ({ changed }) => changed.some(({ state }) => state.kind === "running"));
  expect(await second.failure(ResumeRun, { folder })).toMatchObject({ code: "locked" });
});

test("curves are read in pieces, and from the start again when the log was", async () => {
  const runsRoot = await runsFolder();
  const folder = await prepareRun(runsRoot, "demo", {});
  const client = await start(runsRoot);
  const log = runPaths(folder).log;
  const ask = (offset: number, maxLines = 10) => client.ask(RunSeries, { folder, offset, maxLines });
  expect(await ask(0)).toEqual({ offset: 0, lines: [] });
  await writeFile(log, '{"stage":"tune","step":1}\nnot json\n{"stage":"tune","step":2}\n{"stage":"tu');
  const first = await ask(0, 1);
  expect(first.lines).toEqual([{ stage: "tune", step: 1 }]);
  const second = await ask(first.offset);
  expect(second.lines).toEqual([{ stage: "tune", step: 2 }]);
  expect((await ask(second.offset)).offset).toBe(second.offset);
  await appendFile(log, 'ne","step":3}\n');
  expect((await ask(second.offset)).lines).toEqual([{ stage: "tune", step: 3 }]);
  await writeFile(log, '{"stage":"tune","step":9}\n');
  expect((await ask(second.offset)).lines).toEqual([{ stage: "tune", step: 9 }]);
});

test("a run that appears, moves on and goes away is told, and one that cannot be read says why", async () => {
  const runsRoot = await runsFolder();
  const client = await start(runsRoot);
  expect(await client.ask(ListRuns, {})).toMatchObject({
    runs: [],
    bundled: { name: "starter-run", hasProbe: true, dictionaries: expect.stringMatching(/^[0-9a-f]{16}$/) },
    misnamed: [],
  });
  const folder = await prepareRun(runsRoot, "demo", {});
  await client.heard(RunsChanged, ({ changed }) => changed.some(({ state }) => state.kind === "new"));
  await writeFile(runPaths(folder).record, "{");
  const { changed } = await client.heard(RunsChanged, (told) =>
    told.changed.some(({ state }) => state.kind === "unreadable"),
  );
  expect(changed[0]?.state).toMatchObject({ message: expect.stringContaining("run.json") });
  await disk.rm(folder, { recursive: true });
  const { gone } = await client.heard(RunsChanged, (told) => told.gone.length > 0);
  expect(gone).toEqual([folder]);

  // What looks like a run but is not named like one is told; an ordinary folder is not.
  for (const name of ["Quick", "seed_2", "mein lauf é"]) {
    await mkdir(join(runsRoot, name));
    await writeFile(runPaths(join(runsRoot, name)).record, "{}");
  }
  await mkdir(join(runsRoot, "Notes"));
  const told = await client.heard(RunsChanged, ({ misnamed }) => misnamed.length === 3);
  expect(told.misnamed).toEqual(["Quick", "mein lauf é", "seed_2"].map((name) => join(runsRoot, name)));
  expect((await client.ask(ListRuns, {})).misnamed).toEqual(told.misnamed);
});

test("stages show their progress while their run lives on", async () => {
  const runsRoot = await runsFolder();
  const folder = await prepareRun(runsRoot, "demo", {});
  const events = new EventLog(runPaths(folder).events, disk);
  const key = "0".repeat(64);
  events.append({ kind: "stage-started", stage: "tune", key });
  events.append({ kind: "progress", stage: "tune", done: 3, total: 9, unit: "steps", ratePerS: 2, secondsLeft: 3 });
  events.close();
  const record = {
    format: 1,
    name: "demo",
    state: { kind: "failed", code: "resource", message: "the disk \u202eis full", stage: "tune", resumable: true },
    seed: 1,
    deviceClass: "cpu",
    versions: {},
    stages: [
      { id: "prepare", stage: "prepare", codeVersion: 1, status: "done", output: "stages/prepare-1", digest: "d" },
      { id: "tune", stage: "tune", codeVersion: 1, status: "running" },
      { id: "probe", stage: "probe", codeVersion: 1, status: "todo" },
    ],
    published: [],
    updated: new Date().toISOString(),
  };
  await writeFile(runPaths(folder).record, JSON.stringify(record));
  await mkdir(join(folder, "stages", "prepare-1"), { recursive: true });
  for (const [name, lines] of [
    ["tuning", 3],
    ["held-out", 2],
    ["analysis", 0],
  ] as const)
    await writeFile(join(folder, "stages", "prepare-1", `${name}.jsonl`), "{}\n".repeat(lines));
  const client = await start(runsRoot);
  const { runs } = await client.ask(ListRuns, {});
  expect(runs[0]?.state).toMatchObject({ kind: "failed", message: "the disk \\u202eis full" });
  expect(runs[0]?.stages).toEqual([
    { id: "prepare", status: "done", progress: null, summary: "3 tuning, 2 held-out, 0 analysis" },
    {
      id: "tune",
      status: "failed",
      progress: { done: 3, total: 9, unit: "steps", ratePerS: 2, secondsLeft: 3 },
      summary: null,
    },
    { id: "probe", status: "todo", progress: null, summary: null },
  ]);
  expect(await client.failure(ReadReport, { folder })).toMatchObject({ code: "not-found" });
  const wrong = await client.failure(StartRun, { experiment: join(runsRoot, "none.json"), runsRoot, name: null });
  expect(wrong).toMatchObject({ code: "not-found", message: expect.stringContaining("none.json") });
  const outside = await client.failure(StartRun, { experiment: "quick", runsRoot: join(runsRoot, ".."), name: null });
  expect(outside).toMatchObject({ code: "usage" });
  const traversal = await client.failure(StartRun, { experiment: "quick", runsRoot, name: "../up" });
  expect(traversal).toMatchObject({ code: "usage" });
  expect(await readFile(join(runsRoot, "..", "up", "experiment.json")).catch(() => "none")).toBe("none");
});

test("runs are compared, with the comparison as files, and only runs of the folders of runs", async () => {
  const runsRoot = await runsFolder();
  const folders = await Promise.all(
    [1, 2].map((seed) => prepareRun(runsRoot, `seed${seed}`, { preset: "quick", seed })),
  );
  const client = await start(runsRoot);
  const { comparison, csv, markdown } = await client.ask(CompareRuns, { folders });
  expect(comparison.settings).toEqual([{ name: "seed", values: ["1", "2"] }]);
  expect(comparison.runs.map(({ name, state }) => [name, state])).toEqual([
    ["seed1", "never started"],
    ["seed2", "never started"],
  ]);
  expect(csv).toContain("setting,seed,seed,,,1,,,2,,");
  expect(markdown).toContain("| seed | 1 | 2 |");
  const outside = join(runsRoot, "..", "elsewhere");
  expect(await client.failure(CompareRuns, { folders: [...folders, outside] })).toMatchObject({ code: "usage" });
});
