import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { viewRun } from "../../../server/lsp/runs/run-view.ts";
import type { RunEvent } from "../../../server/protocol/run-events.ts";
import type { JobSpec } from "../../../server/runs/executor.ts";
import { followEvents } from "../../../server/runs/follow.ts";
import { cancelRun, submitRun } from "../../../server/runs/jobs.ts";
import { NICENESS } from "../../../server/runs/local-executor.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun, readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus, stageStatusOf } from "../../../server/runs/run-status.ts";
import { fakePlan } from "./fake-stages.ts";
import { lastingFiles } from "./lasting-files.ts";
import { PATIENT, scratchFolder } from "./scratch.ts";
import { workerOf } from "./worker.ts";

const program = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const started: string[] = [];

afterEach(async () => {
  for (const folder of started.splice(0)) {
    const left = await workerOf(folder);
    if (left !== undefined) process.kill(left.pid, "SIGKILL");
  }
});

/** A run of the fake plan, to be started as a process of its own. */
async function jobIn(
  runsRoot: string,
  options: { steps?: number; pauseMs?: number; lingerMs?: number },
): Promise<JobSpec> {
  const runFolder = await prepareRun(runsRoot, "demo", options);
  started.push(runFolder);
  return { runFolder, argv: [process.execPath, program("fake-run.ts"), runFolder, JSON.stringify(options)] };
}

async function nextEvent(folder: string, isIt: (event: RunEvent) => boolean): Promise<RunEvent> {
  for await (const event of followEvents(folder)) if (isIt(event)) return event;
  return expect.unreachable("the run ended first");
}

/** As vscode-languageclient ends a server: the whole tree below it, found by parent ids, with SIGKILL. */
function killTree(pid: number): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const parents = rows.map((row) => row.trim().split(/\s+/).map(Number));
  const tree = [pid];
  for (const parent of tree) for (const [child, of] of parents) if (of === parent && child) tree.push(child);
  for (const member of tree) process.kill(member, "SIGKILL");
  return tree;
}

test.skipIf(process.platform === "win32")(
  "a run outlives the process tree of whoever started it, and is found again with all its events",
  async () => {
    const runsRoot = await scratchFolder();
    const job = await jobIn(runsRoot, { steps: 6, pauseMs: 60 });
    const submitter = spawn(process.execPath, [program("submitter.ts"), JSON.stringify(job)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(submitter.stdout, "data");
    await nextEvent(job.runFolder, ({ kind }) => kind === "progress");
    const runner = await workerOf(job.runFolder);
    expect(killTree(submitter.pid ?? 0)).not.toContain(runner?.pid);

    const status = await runStatus(job.runFolder);
    expect(status).toMatchObject({ state: { kind: "running" }, work: "working" });
    expect(status.process).toEqual(runner);
    const seqs: number[] = [];
    for await (const { seq } of followEvents(job.runFolder)) seqs.push(seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect((await runStatus(job.runFolder)).state).toEqual({ kind: "done" });
    expect((await runStatus(job.runFolder)).work).toBe("gone");
    expect(await readFile(runPaths(job.runFolder).output, "utf8")).toContain('{"kind":"done"}');
  },
);

test("a run leaves the cores to whoever else wants them", async () => {
  const runsRoot = await scratchFolder();
  const job = await jobIn(runsRoot, { steps: 100, pauseMs: 20 });
  await submitRun(job);
  await nextEvent(job.runFolder, ({ kind }) => kind === "progress");
  const { pid = 0 } = (await workerOf(job.runFolder)) ?? {};
  expect(getPriority(pid)).toBeGreaterThanOrEqual(NICENESS);
  const group = await readFile(`/proc/${pid}/autogroup`, "utf8").catch(() => undefined);
  if (group !== undefined) expect(group).toMatch(new RegExp(`nice ${NICENESS}$`, "m"));
  await cancelRun(job.runFolder);
});

test("cancel stops a run after a checkpoint; it goes on to the same end when started again", async () => {
  const runsRoot = await scratchFolder();
  const options = { steps: 40, pauseMs: 20 };
  const job = await jobIn(runsRoot, options);
  await submitRun(job);
  await expect(submitRun(job)).rejects.toMatchObject({ code: "locked" });
  await nextEvent(job.runFolder, (event) => event.kind === "progress" && event.done > 3);
  await cancelRun(job.runFolder);
  expect((await runStatus(job.runFolder)).state).toMatchObject({ kind: "cancelled", stage: expect.any(String) });
  expect(await workerOf(job.runFolder)).toBeUndefined();

  await submitRun(job);
  const resumed = await nextEvent(job.runFolder, ({ kind }) => kind === "stage-resumed");
  expect(resumed).toMatchObject({ stage: expect.any(String) });
  for await (const _ of followEvents(job.runFolder));
  expect((await runStatus(job.runFolder)).state).toEqual({ kind: "done" });
  const uncut = join(await scratchFolder(), "uncut");
  await runPipeline(fakePlan(options), uncut, { seed: 7, deviceClass: "cpu", queued: false });
  const files = await lastingFiles(job.runFolder);
  files.delete("experiment.json");
  expect(files).toEqual(await lastingFiles(uncut));
});

test("a run that is asked twice to stop does so after its checkpoint, and says meanwhile that it stops", async () => {
  const runsRoot = await scratchFolder();
  const job = await jobIn(runsRoot, { steps: 100, pauseMs: 1000 });
  await submitRun(job);
  await nextEvent(job.runFolder, ({ kind }) => kind === "progress");
  const first = cancelRun(job.runFolder);
  await expect.poll(async () => (await viewRun(job.runFolder, { summaries: new Map() })).stopping, PATIENT).toBe(true);
  await Promise.all([first, cancelRun(job.runFolder)]);
  expect((await runStatus(job.runFolder)).state).toMatchObject({ kind: "cancelled" });
  expect((await viewRun(job.runFolder, { summaries: new Map() })).stopping).toBe(false);
});

test("a run that is over, but whose process is still on its way out, is waited for and not called held", async () => {
  const runsRoot = await scratchFolder();
  const job = await jobIn(runsRoot, { steps: 3, lingerMs: 1500 });
  await submitRun(job);
  const first = await workerOf(job.runFolder);
  await nextEvent(job.runFolder, (event) => event.kind === "state" && event.state.kind === "done");
  expect(await workerOf(job.runFolder)).toEqual(first);
  await submitRun(job);
  expect(await workerOf(job.runFolder)).not.toEqual(first);
});

test("a run that does not stop in time is ended by force, and that is recorded", async () => {
  const runsRoot = await scratchFolder();
  const runFolder = await prepareRun(runsRoot, "demo", {});
  started.push(runFolder);
  await submitRun({ runFolder, argv: [process.execPath, program("stubborn-run.ts"), runFolder] });
  await nextEvent(runFolder, ({ kind }) => kind === "stage-started");
  await cancelRun(runFolder, 50);
  expect(await workerOf(runFolder)).toBeUndefined();
  expect((await runStatus(runFolder)).state).toEqual({ kind: "cancelled", stage: "stubborn" });
  const events = (await readFile(runPaths(runFolder).events, "utf8")).trimEnd().split("\n");
  expect(JSON.parse(events.at(-2) ?? "")).toMatchObject({ kind: "message", text: expect.stringContaining("by force") });
});

test("a run that was killed reads as interrupted", async () => {
  const runsRoot = await scratchFolder();
  const job = await jobIn(runsRoot, { steps: 100, pauseMs: 20 });
  await submitRun(job);
  await nextEvent(job.runFolder, ({ kind }) => kind === "progress");
  const runner = await workerOf(job.runFolder);
  process.kill(runner?.pid ?? 0, "SIGKILL");
  await expect.poll(async () => (await runStatus(job.runFolder)).state, PATIENT).toEqual({ kind: "interrupted" });
  expect((await readRecord(job.runFolder))?.state.kind).toBe("running");
  const status = await runStatus(job.runFolder);
  const stages = (status.record?.stages ?? []).map((stage) => stageStatusOf(status, stage));
  expect(stages).toContain("begun");
  expect(stages).not.toContain("running");
  // Asking it to stop now is no error, and leaves nothing behind that would stop the next attempt.
  expect(await cancelRun(job.runFolder)).toBe(false);
  await expect(readFile(runPaths(job.runFolder).cancel)).rejects.toThrow("ENOENT");
});

test("a program that cannot be started, or says nothing, is told", async () => {
  const runsRoot = await scratchFolder();
  const runFolder = await prepareRun(runsRoot, "demo", {});
  const missing = join(runsRoot, "no-such-program");
  await expect(submitRun({ runFolder, argv: [missing] })).rejects.toMatchObject({
    code: "resource",
    message: expect.stringContaining("ENOENT"),
  });
  expect((await runStatus(runFolder)).state).toEqual({ kind: "new" });
  const broken = join(runsRoot, "broken.js");
  await writeFile(broken, "throw new Error('broken');");
  await submitRun({ runFolder, argv: [process.execPath, broken] });
  await expect.poll(async () => (await runStatus(runFolder)).state, PATIENT).toEqual({ kind: "interrupted" });
  expect(await readFile(runPaths(runFolder).output, "utf8")).toContain("Error: broken");
});
