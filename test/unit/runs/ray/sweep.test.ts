/** A sweep as jobs of a fake of Ray's API. */
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { byCodeUnit } from "../../../../server/common/order.ts";
import { parseExperiment } from "../../../../server/pipeline/experiment/resolve.ts";
import { runSweep, type SweepRunEnd } from "../../../../server/pipeline/sweep/run-sweep.ts";
import { readPlace } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import { jobNameOf } from "../../../../server/runs/job-record.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, readRecord } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { sharedStages } from "../../../../server/runs/shared-stages.ts";
import { type FakeRay, startFakeRay } from "../../../support/fake-ray.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { PATIENT, scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { RayExecutor } = await import("../../../../server/runs/ray/executor.ts");
  const times = { freshMs: 100, absentMs: 4000, commandMs: 10_000, killMs: 10_000 };
  return { executors: { local: localExecutor, ray: new RayExecutor(times) } };
});

useStateFolder("ray-sweep");
const fakeRun = fileURLToPath(new URL("../fake-run.ts", import.meta.url));
const options = { steps: 20, pauseMs: 20 };

let ray: FakeRay;
let sweep: string;
let said: string[];
beforeEach(async () => {
  sweep = join(await scratchFolder(), "sweep");
  await mkdir(sharedStages(sweep), { recursive: true });
  ray = await startFakeRay(sweep);
  said = [];
});
afterEach(() => ray.stop());

const folderOf = (name: string): string => join(sweep, name);

async function start(names: readonly string[], atMost: number): Promise<SweepRunEnd[]> {
  const experiment = parseExperiment({ preset: "quick" });
  return runSweep(sweep, {
    place: await readPlace("ray"),
    atMost,
    signal: new AbortController().signal,
    onAbort: "leave",
    pollMs: 100,
    onState: (folder, state) => said.push(`${basename(folder)}: ${state.kind}`),
    jobOf: async ({ folder, isAgain }) => ({
      runFolder: folder,
      // Each of them has a seed of its own, so that they share nothing but where they could.
      argv: [process.execPath, fakeRun, folder, JSON.stringify({ ...options, seed: seedOf(folder) })],
      isAgain,
    }),
    open: async () =>
      Promise.all(
        names.map(async (name) => ({ name, folder: await prepareRun(sweep, name, {}), settings: {}, experiment })),
      ),
  });
}

const seedOf = (folder: string): number => (folder.at(-1) ?? "").charCodeAt(0);

/** A run has the bytes of one at home. */
async function expectUncut(folder: string): Promise<void> {
  const uncut = join(await scratchFolder(), "uncut");
  await runPipeline(fakePlan(options), uncut, { seed: seedOf(folder), deviceClass: "cpu", queued: false });
  const files = await lastingFiles(folder);
  files.delete("experiment.json");
  expect(files).toEqual(await lastingFiles(uncut));
}

async function untilProgress(folder: string): Promise<void> {
  for await (const event of followEvents(folder, { until: "abort" }))
    if (event.kind === "progress" && event.stage === "first" && event.done > 2) return;
}

/** How often each stage was computed to its end. */
async function computed(folder: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const event of followEvents(folder))
    if (event.kind === "stage-finished") counts[event.stage] = (counts[event.stage] ?? 0) + 1;
  return counts;
}

/** How many of the runs worked at a time, at most, by their own events: a job's process outlives its run's end by moments. */
async function mostAtOnce(names: readonly string[]): Promise<number> {
  const changes: { time: string; by: number }[] = [];
  for (const name of names) {
    let last: string | undefined;
    for await (const { time, ...event } of followEvents(folderOf(name))) {
      const isBegun = event.kind === "state" && event.state.kind === "running";
      if (isBegun && last !== undefined) changes.push({ time: last, by: -1 });
      if (isBegun) changes.push({ time, by: 1 });
      if (isBegun || last !== undefined) last = time;
    }
    if (last !== undefined) changes.push({ time: last, by: -1 });
  }
  let atOnce = 0;
  const counts = changes.toSorted((a, b) => byCodeUnit(a.time, b.time) || a.by - b.by).map(({ by }) => (atOnce += by));
  return Math.max(...counts);
}

const ONCE = { base: 1, first: 1, tuned: 1, report: 1 };

test("submits so many at a time, one that is lost again, and leaves one that Ray refuses", {
  timeout: 120_000,
}, async () => {
  ray.refused.add("b");
  const ends = start(["a", "b", "c", "d"], 2);
  await untilProgress(folderOf("a"));
  const { job: first } = await runStatus(folderOf("a"));
  ray.lose("a");
  const found = await ends;
  expect(found.map(({ name, state }) => [name, state.kind])).toEqual([
    ["a", "done"],
    ["b", "failed"],
    ["c", "done"],
    ["d", "done"],
  ]);
  expect(found[1]?.failure).toEqual({
    code: "resource",
    message: expect.stringContaining("num_gpus may not be 9"),
  });
  expect(ray.submissions.toSorted(byCodeUnit)).toEqual(["a", "a", "b", "c", "d"]);
  expect(ray.most).toBeGreaterThanOrEqual(2);
  expect(await mostAtOnce(["a", "c", "d"])).toBeLessThanOrEqual(2);
  const { job: second } = await runStatus(folderOf("a"));
  expect(jobNameOf(second)).not.toBe(jobNameOf(first));
  for (const name of ["a", "c", "d"]) await expectUncut(folderOf(name));
  expect(await computed(folderOf("a"))).toEqual(ONCE);
});

test("goes on where the head is started anew while runs work: what that takes is said, nothing is lost or done twice", {
  timeout: 120_000,
}, async () => {
  const ends = start(["a", "b"], 2);
  await Promise.all(["a", "b"].map((name) => untilProgress(folderOf(name))));
  ray.setDown(true);
  ray.restart();
  const waitsFor = (what: string) => ({
    work: "unknown",
    mayGoOn: false,
    state: { kind: "waiting", for: expect.stringContaining(what) },
  });
  const look = () => runStatus(folderOf("a"));
  await expect.poll(look, { ...PATIENT, interval: 50 }).toMatchObject(waitsFor("cannot be reached"));
  ray.setDown(false);
  await expect.poll(look, { ...PATIENT, interval: 50 }).toMatchObject(waitsFor("Ray does not know its job"));
  expect((await ends).map((end) => end.state.kind)).toEqual(["done", "done"]);
  expect(ray.submissions.toSorted(byCodeUnit)).toEqual(["a", "a", "b", "b"]);
  for (const name of ["a", "b"]) {
    await expectUncut(folderOf(name));
    expect((await readRecord(folderOf(name)))?.state).toEqual({ kind: "done" });
    expect(await computed(folderOf(name))).toEqual(ONCE);
  }
});
