/** Many runs as one array of jobs on a real Slurm of one node. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { JobSpec } from "../../../../server/runs/executor.ts";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import { cancelRun, submitRuns } from "../../../../server/runs/jobs.ts";
import { runMany } from "../../../../server/runs/many-runs.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { trueWithin } from "../../../../server/runs/stop-process.ts";
import { canStartSlurm, startSlurm, type TestSlurm } from "../../../support/slurm.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { scratchFolder } from "../scratch.ts";

useStateFolder("real-array");

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  const times = { pollMs: 1000, hurryMs: 500, mostMs: 4000, absentMs: 30_000, commandMs: 20_000 };
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const place = { executor: "slurm", settings: placeSchemas.slurm.parse({ cpus: 1 }) } as const;
const fakeRun = fileURLToPath(new URL("../fake-run.ts", import.meta.url));
const LONG = { steps: 60, pauseMs: 30 };

async function makeRuns(count: number): Promise<string[]> {
  const root = join(await scratchFolder(), "many");
  return await Promise.all(Array.from({ length: count }, (_, at) => prepareRun(root, `run-${at}`, {})));
}
const jobOf = (runFolder: string, isAgain = false): JobSpec => ({
  runFolder,
  argv: [process.execPath, fakeRun, runFolder, JSON.stringify(LONG)],
  isAgain,
});
async function idOf(folder: string): Promise<string> {
  const { job } = await runStatus(folder);
  return job?.executor === "slurm" && job.id !== undefined ? job.id : expect.fail("no job of Slurm");
}

async function expectUncut(folders: readonly string[]): Promise<void> {
  const uncut = join(await scratchFolder(), "uncut");
  await runPipeline(fakePlan(LONG), uncut, { seed: 7, deviceClass: "cpu", queued: false });
  const expected = await lastingFiles(uncut);
  for (const folder of folders) {
    const files = await lastingFiles(folder);
    files.delete("experiment.json");
    expect(files).toEqual(expected);
  }
}

async function works(folder: string): Promise<void> {
  for await (const event of followEvents(folder, { until: "abort" }))
    if (event.kind === "progress" && event.done > 3) return;
}

async function reaches(folder: string, kind: string): Promise<void> {
  const isThere = () => trueWithin(120_000, async () => (await runStatus(folder)).state.kind === kind);
  expect((await isThere()) ? kind : (await runStatus(folder)).state).toBe(kind);
}

let slurm: TestSlurm;
beforeAll(async () => {
  if (canStartSlurm) slurm = await startSlurm();
}, 90_000);
afterAll(async () => {
  if (canStartSlurm) await slurm.stop();
});

/** How many tasks work, and why the others wait. */
async function queue(id: string): Promise<{ readonly running: number; readonly reasons: readonly string[] }> {
  const answer = await slurm.ask("squeue", "--noheader", "--array", "--format=%i|%T|%r");
  const rows = answer.split("\n").filter((line) => line.startsWith(`${id}_`));
  const waiting = rows.filter((line) => line.includes("|PENDING|"));
  return {
    running: rows.filter((line) => line.includes("|RUNNING|")).length,
    reasons: waiting.map((line) => line.split("|")[2] ?? ""),
  };
}

describe.skipIf(!canStartSlurm).concurrent("an array on a Slurm of one node", { timeout: 240_000 }, () => {
  test("works at most so many runs at a time, and each ends with the bytes of a run at home", async () => {
    const folders = await makeRuns(5);
    expect(
      await submitRuns(
        folders.map((folder) => jobOf(folder)),
        2,
        place,
      ),
    ).toEqual(Array(5).fill(undefined));
    const [id = ""] = (await idOf(folders[0] ?? "")).split("_");
    expect(await Promise.all(folders.map(idOf))).toEqual(folders.map((_, task) => `${id}_${task}`));
    let most = 0;
    let hasWaited = false;
    const isOver = () =>
      trueWithin(180_000, async () => {
        const { running, reasons } = await queue(id);
        most = Math.max(most, running);
        if (reasons.includes("JobArrayTaskLimit"))
          hasWaited ||= (await Promise.all(folders.map(runStatus))).some(({ waitsFor }) =>
            waitsFor.includes("its turn"),
          );
        return (await Promise.all(folders.map(runStatus))).every(({ work }) => work === "gone");
      });
    expect(await isOver()).toBe(true);
    expect({ most, hasWaited }).toEqual({ most: 2, hasWaited: true });
    await expectUncut(folders);
  });

  test("loses one task to scancel, and another that is stopped while it waits; the others are done", async () => {
    const folders = await makeRuns(4);
    await submitRuns(
      folders.map((folder) => jobOf(folder)),
      2,
      place,
    );
    const [first = "", second = "", third = "", last = ""] = folders;
    expect(await cancelRun(last)).toBe(true);
    expect((await runStatus(last)).state.kind).toBe("new");
    await works(first);
    await slurm.ask("scancel", await idOf(first));
    await reaches(first, "cancelled");
    expect(await runStatus(first)).toMatchObject({ work: "gone", mayGoOn: false });
    await reaches(second, "done");
    await reaches(third, "done");
    await expectUncut([second, third]);
  });

  test("is stopped whole by scancel, and goes on when it is submitted again", async () => {
    const folders = await makeRuns(3);
    await submitRuns(
      folders.map((folder) => jobOf(folder)),
      1,
      place,
    );
    await works(folders[0] ?? "");
    const [id = ""] = (await idOf(folders[0] ?? "")).split("_");
    await slurm.ask("scancel", id);
    const areGone = async () => (await Promise.all(folders.map(runStatus))).every(({ work }) => work === "gone");
    expect(await trueWithin(60_000, areGone)).toBe(true);
    for (const folder of folders) expect((await runStatus(folder)).mayGoOn).toBe(false);
    expect(
      await submitRuns(
        folders.map((folder) => jobOf(folder)),
        3,
        place,
      ),
    ).toEqual(Array(3).fill(undefined));
    for (const folder of folders) await reaches(folder, "done");
    await expectUncut(folders);
  });

  test("starts one task again that saves in the middle, under its own number, and no other", async () => {
    const folders = await makeRuns(2);
    await submitRuns(
      folders.map((folder) => jobOf(folder)),
      2,
      place,
    );
    // The last task to start has the number of the whole array.
    const [other = "", folder = ""] = folders;
    await works(folder);
    const id = await idOf(folder);
    await slurm.ask("scancel", "--signal=USR1", "--batch", id);
    await reaches(folder, "waiting");
    const isPending = async () =>
      (await slurm.ask("squeue", "--noheader", "--format=%T", `--jobs=${id}`)).includes("PENDING");
    expect(await trueWithin(60_000, isPending)).toBe(true);
    await slurm.ask("scontrol", "update", `JobId=${id}`, "StartTime=now");
    await reaches(folder, "done");
    await reaches(other, "done");
    expect(await idOf(folder)).toBe(id);
    const started: string[] = [];
    for await (const { kind } of followEvents(other)) started.push(kind);
    expect(started).not.toContain("stage-resumed");
    await expectUncut(folders);
  });

  test("whose tasks are lost has those alone submitted again, as far as so many may work", async () => {
    const folders = await makeRuns(3);
    const [, lost = ""] = folders;
    const again: string[] = [];
    const ends = runMany({
      folders,
      atMost: 2,
      signal: new AbortController().signal,
      onAbort: "leave",
      pollMs: 200,
      place,
      jobOf: async ({ folder, isAgain }) => {
        if (isAgain) again.push(folder);
        return jobOf(folder, isAgain);
      },
      onState: () => undefined,
    });
    await works(lost);
    const id = await idOf(lost);
    // Its process saves, but Slurm does not take the job back: the script is ended first.
    const { process: worker } = await runStatus(lost);
    await slurm.ask("scontrol", "update", `JobId=${id}`, "Requeue=0");
    process.kill(worker?.pid ?? expect.fail("no process"), "SIGTERM");
    expect((await ends).map(({ state }) => state.kind)).toEqual(["done", "done", "done"]);
    expect(again).toEqual([lost]);
    expect(await idOf(lost)).not.toContain("_");
    await expectUncut(folders);
  });
});
