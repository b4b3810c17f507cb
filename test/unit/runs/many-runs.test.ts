import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { LfpError } from "../../../server/common/errors.ts";
import { EventLog } from "../../../server/runs/event-log.ts";
import type { Place } from "../../../server/runs/executor-settings.ts";
import { disk } from "../../../server/runs/files.ts";
import { submitRun } from "../../../server/runs/jobs.ts";
import { type EndedRun, type ManyRuns, runMany } from "../../../server/runs/many-runs.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun, runPaths, writeRecord } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { planStage } from "../../../server/runs/stage.ts";
import { initialise, smallPlan } from "./fake-stages.ts";
import { PATIENT, scratchFolder } from "./scratch.ts";
import { cluster } from "./toy-executor.ts";

vi.mock("../../../server/runs/job-record.ts", async (actual) => {
  const module = await actual<typeof import("../../../server/runs/job-record.ts")>();
  const { ToyJob } = await import("./toy-executor.ts");
  return { ...module, JobRecord: z.union([ToyJob, module.JobRecord]) };
});
/** How jobs that are gone have ended. */
const passing = new Set<number>();
vi.mock("../../../server/runs/executors.ts", async (actual) => {
  const { executors } = await actual<typeof import("../../../server/runs/executors.ts")>();
  const { toyExecutor } = await import("./toy-executor.ts");
  const state: typeof toyExecutor.state = async (folder, job) => {
    const standing = await toyExecutor.state(folder, job);
    return standing.state === "gone" && passing.has(job.id) ? { ...standing, how: "passing" } : standing;
  };
  return { executors: { ...executors, toy: { ...toyExecutor, state } } };
});

const toy: Place = JSON.parse('{"executor":"toy","settings":{}}');

class RefusedError extends LfpError {
  readonly code = "resource";
}

let root: string;
let submits: string[];
beforeEach(async () => {
  root = await scratchFolder();
  submits = [];
  cluster.jobs.length = 0;
  cluster.isDown = false;
  passing.clear();
});

const folders = (...names: string[]) => Promise.all(names.map((name) => prepareRun(root, name, {})));
const nameOf = (folder: string): string => folder.slice(root.length + 1);

function start(all: readonly string[], more: Partial<ManyRuns> = {}): { states: string[]; ends: Promise<EndedRun[]> } {
  const states: string[] = [];
  const ends = runMany({
    folders: all,
    atMost: 2,
    signal: new AbortController().signal,
    onAbort: "stop",
    pollMs: 5,
    place: toy,
    jobOf: async ({ folder: runFolder, isAgain }) => {
      submits.push(`${nameOf(runFolder)}${isAgain ? " again" : ""}`);
      return { runFolder, argv: ["lfp"] };
    },
    onState: (folder, state) => states.push(`${nameOf(folder)}: ${state.kind}`),
    ...more,
  });
  return { states, ends };
}

/** A job once it is there: a moment after the run that it is of was asked for. */
async function jobAt(id: number): Promise<(typeof cluster.jobs)[number]> {
  await expect.poll(() => cluster.jobs.length, PATIENT).toBeGreaterThan(id);
  return cluster.jobs[id] ?? expect.fail(`no job ${id}`);
}

/** The job's node does all of its run, and the job is gone. */
async function finish(id: number, folder: string): Promise<void> {
  const job = await jobAt(id);
  await runPipeline(smallPlan(), folder, { seed: 7, deviceClass: "cpu", queued: false });
  job.state = "gone";
}

/** A job's node is so far with a stage of its run. */
async function workOn(id: number, folder: string, done: number): Promise<void> {
  const job = await jobAt(id);
  const log = new EventLog(runPaths(folder).events, disk);
  log.append({ kind: "progress", stage: "tuned", done, total: 9, unit: "steps", ratePerS: null, secondsLeft: null });
  log.close();
  if (job.state === "working") return;
  const state = { kind: "running", stage: "tuned" } as const;
  const updated = new Date().toISOString();
  const base = { format: 1, name: "demo", seed: 7, deviceClass: "cpu", versions: {} } as const;
  await writeRecord(folder, { ...base, stages: [], published: [], state, updated });
  job.state = "working";
}

const submitted = (count: number) => expect.poll(() => submits.length, PATIENT).toBe(count);

test("at most so many runs are submitted at a time, in order, and those that are done are left alone", async () => {
  const all = await folders("a", "b", "c", "d");
  await runPipeline(smallPlan(), all[1] ?? "", { seed: 7, deviceClass: "cpu", queued: false });
  const { ends } = start(all);
  await submitted(2);
  expect(submits).toEqual(["a", "c"]);
  await finish(0, all[0] ?? "");
  await submitted(3);
  await finish(1, all[2] ?? "");
  await finish(2, all[3] ?? "");
  expect((await ends).map(({ state, failure }) => [state.kind, failure])).toEqual(Array(4).fill(["done", undefined]));
  expect(submits).toEqual(["a", "c", "d"]);
});

test("a finished run is started once more where it may have changed", async () => {
  const [folder = ""] = await folders("a");
  await runPipeline(smallPlan(), folder, { seed: 7, deviceClass: "cpu", queued: false });
  const { ends } = start([folder], { redo: true });
  await submitted(1);
  await finish(0, folder);
  expect((await ends).map(({ state }) => state.kind)).toEqual(["done"]);
});

test("a run that cannot be submitted or read, or whose job ends, fails alone and says why", async () => {
  const all = await folders("a", "b", "c", "d");
  await writeFile(runPaths(all[1] ?? "").record, "{}");
  await writeFile(runPaths(all[2] ?? "").output, "begins\nlfp: there is no model\n");
  const { ends } = start(all, {
    jobOf: async ({ folder: runFolder }) => {
      submits.push(nameOf(runFolder));
      if (nameOf(runFolder) === "a") throw new RefusedError("the cluster is full");
      return { runFolder, argv: ["lfp"] };
    },
  });
  await submitted(3);
  (await jobAt(0)).state = "gone";
  await finish(1, all[3] ?? "");
  expect((await ends).map(({ failure }) => failure)).toEqual([
    { code: "resource", message: "the cluster is full" },
    { code: "input", message: expect.stringContaining("run.json is not a record") },
    { code: "resource", message: "lfp: there is no model" },
    undefined,
  ]);
});

test("how far each working run is, is told in turn, and only what is new", async () => {
  const all = await folders("a", "b");
  const told: string[] = [];
  const stop = new AbortController();
  const { ends } = start(all, {
    signal: stop.signal,
    onAbort: "leave",
    progressMs: 0,
    onProgress: (folder, stage, { done, total, unit }) =>
      told.push(`${nameOf(folder)}: ${stage} ${done} of ${total} ${unit}`),
  });
  await submitted(2);
  for (const [at, folder] of all.entries()) await workOn(at, folder, 3);
  const both = new Set(["a: tuned 3 of 9 steps", "b: tuned 3 of 9 steps"]);
  await expect.poll(() => new Set(told), PATIENT).toEqual(both);
  await workOn(1, all[1] ?? "", 4);
  await expect.poll(() => told.slice(2), PATIENT).toEqual(["b: tuned 4 of 9 steps"]);
  await workOn(0, all[0] ?? "", 5);
  await expect.poll(() => told.slice(3), PATIENT).toEqual(["a: tuned 5 of 9 steps"]);
  stop.abort();
  await ends;
});

test("a defect is no run's failure", async () => {
  const { ends } = start(await folders("a"), { jobOf: () => Promise.reject(new TypeError("a defect")) });
  await expect(ends).rejects.toThrow("a defect");
});

test("a run is submitted again where its job ended for a passing reason", async () => {
  const [folder = ""] = await folders("a");
  const { ends } = start([folder]);
  await submitted(1);
  const job = await jobAt(0);
  passing.add(0);
  job.state = "gone";
  await submitted(2);
  expect(submits).toEqual(["a", "a again"]);
  await finish(1, folder);
  expect((await ends)[0]?.state.kind).toBe("done");
});

test("a run that somebody submitted already is followed, also while its executor does not answer", async () => {
  const [folder = ""] = await folders("a");
  await submitRun({ runFolder: folder, argv: ["lfp"] }, toy);
  const { states, ends } = start([folder]);
  await expect.poll(() => states, PATIENT).toEqual(["a: waiting"]);
  cluster.isDown = true;
  await expect.poll(() => states, PATIENT).toEqual(["a: waiting", "a: unknown"]);
  cluster.isDown = false;
  await finish(0, folder);
  expect((await ends)[0]?.state.kind).toBe("done");
  expect(submits).toEqual([]);
});

test.each(["stop", "leave"] as const)(
  "a run that has failed, but whose process is still ending at the abort, is told as failed: %s",
  async (onAbort) => {
    const [folder = ""] = await folders("a");
    const stop = new AbortController();
    const { ends } = start([folder], {
      onAbort,
      signal: stop.signal,
      onState: (_, { kind }) => {
        if (kind === "failed") stop.abort();
      },
    });
    await submitted(1);
    (await jobAt(0)).state = "working";
    const options = { seed: 7, deviceClass: "cpu", queued: false };
    const broken = {
      ...initialise,
      run: () => Promise.reject(new RefusedError("there are too few words")),
    };
    await runPipeline([planStage({ id: "base", stage: broken, settings: { size: 1 }, inputs: {} })], folder, options);
    expect((await ends)[0]?.failure).toEqual({ code: "resource", message: "there are too few words" });
  },
);

test.each(["stop", "leave"] as const)("an abort starts no more runs; those that are started: %s", async (onAbort) => {
  const all = await folders("a", "b", "c");
  const stop = new AbortController();
  const { ends } = start(all, { onAbort, signal: stop.signal });
  await submitted(2);
  stop.abort();
  expect((await ends).map(({ failure }) => failure?.code)).toEqual(["cancelled", "cancelled", "cancelled"]);
  expect((await runStatus(join(root, "a"))).work).toBe(onAbort === "stop" ? "gone" : "waiting");
  expect(submits).toEqual(["a", "b"]);
});
