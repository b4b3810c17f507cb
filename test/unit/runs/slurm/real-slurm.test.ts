/** Runs on a real Slurm of one node. */
import { spawn } from "node:child_process";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { RunEvent } from "../../../../server/protocol/run-events.ts";
import type { Place } from "../../../../server/runs/executor-settings.ts";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import type { SlurmJob } from "../../../../server/runs/job-record.ts";
import { cancelRun, JobThereError, submitRun } from "../../../../server/runs/jobs.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { LockedError } from "../../../../server/runs/run-lock.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { SlurmExecutor } from "../../../../server/runs/slurm/executor.ts";
import type { AnyState } from "../../../../server/runs/state-words.ts";
import { trueWithin } from "../../../../server/runs/stop-process.ts";
import { canStartSlurm, startSlurm, type TestSlurm } from "../../../support/slurm.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { scratchFolder } from "../scratch.ts";
import { expectCalibrationAsAtHome, expectSeedsAsAtHome } from "./same-bytes.ts";

const stateFolder = useStateFolder("real-slurm");

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const times = vi.hoisted(() => ({ pollMs: 1000, hurryMs: 500, mostMs: 4000, absentMs: 3000, commandMs: 20_000 }));

const fakeRun = fileURLToPath(new URL("../fake-run.ts", import.meta.url));

function slurmPlace(stated: object = {}): Place {
  return { executor: "slurm", settings: placeSchemas.slurm.parse({ cpus: 1, ...stated }) };
}

interface FakeOptions {
  readonly steps: number;
  readonly pauseMs: number;
  readonly everyNth?: number;
  readonly slowMs?: number;
}

async function submitFake(options: FakeOptions, stated: object = {}): Promise<string> {
  const runFolder = await prepareRun(await scratchFolder(), "demo", {});
  await submitAgain(runFolder, options, stated);
  return runFolder;
}

async function submitAgain(runFolder: string, options: FakeOptions, stated: object = {}): Promise<void> {
  const argv = [process.execPath, fakeRun, runFolder, JSON.stringify(options)] as const;
  await submitRun({ runFolder, argv }, slurmPlace(stated));
  // It pauses as long as the job does: both work at the same time.
  void uncutOf(options);
}

async function expectUncut(folder: string, options: FakeOptions): Promise<void> {
  const files = await lastingFiles(folder);
  files.delete("experiment.json");
  expect(files).toEqual(await uncutOf(options));
}

const uncut = new Map<string, Promise<Map<string, string>>>();

/** What a run leaves at home. */
function uncutOf({ steps, pauseMs }: FakeOptions): Promise<Map<string, string>> {
  const key = JSON.stringify([steps, pauseMs]);
  const files = uncut.get(key) ?? runUncut(steps, pauseMs);
  uncut.set(key, files);
  return files;
}

async function runUncut(steps: number, pauseMs: number): Promise<Map<string, string>> {
  const folder = join(await scratchFolder(), "uncut");
  await runPipeline(fakePlan({ steps, pauseMs }), folder, { seed: 7, deviceClass: "cpu", queued: false });
  return await lastingFiles(folder);
}

async function jobOf(folder: string): Promise<SlurmJob & { readonly id: string }> {
  const { job } = await runStatus(folder);
  if (job?.executor !== "slurm" || job.id === undefined) throw new TypeError(`no job of Slurm: ${JSON.stringify(job)}`);
  return { ...job, id: job.id };
}

async function jobId(folder: string): Promise<string> {
  return (await jobOf(folder)).id;
}

async function eventually(isTrue: () => Promise<boolean>, limitMs = 120_000): Promise<void> {
  expect(await trueWithin(limitMs, isTrue)).toBe(true);
}

/** Waits for a state of the run; says which it was in when that takes too long. */
async function reaches(folder: string, kind: AnyState["kind"]): Promise<void> {
  let state: AnyState | undefined;
  const isThere = await trueWithin(120_000, async () => {
    ({ state } = await runStatus(folder));
    return state.kind === kind;
  });
  expect(isThere ? kind : state).toBe(kind);
}

const output = (folder: string): Promise<string> => readFile(runPaths(folder).output, "utf8");

async function nextEvent(folder: string, isIt: (event: RunEvent) => boolean): Promise<RunEvent> {
  for await (const event of followEvents(folder, { until: "abort" })) if (isIt(event)) return event;
  return expect.unreachable("it is followed until the event comes");
}

const progressed = (event: RunEvent): boolean => event.kind === "progress" && event.done > 3;

/** Its daemons; the tests of a file share them. */
let slurm: TestSlurm;

beforeAll(async () => {
  if (canStartSlurm) slurm = await startSlurm();
}, 90_000);
afterAll(async () => {
  if (canStartSlurm) await slurm.stop();
});

/** A folder for what a command makes; scratch folders may be in memory, of which machines of a cluster share none. */
async function ownFolder(name: string): Promise<string> {
  const folder = join(stateFolder(), name);
  await mkdir(folder);
  return folder;
}

/** A job's state in Slurm; empty once Slurm has forgotten it. */
async function slurmState(id: string): Promise<string> {
  const answer = await slurm.ask("squeue", "--noheader", "--states=all", "--format=%i|%T");
  return new RegExp(`^${id}\\|(.*)$`, "m").exec(answer)?.[1] ?? "";
}

/** Starts a waiting job, unless it has begun, ended or been forgotten meanwhile. */
async function startNow(id: string): Promise<void> {
  await slurm.ask("scontrol", "update", `JobId=${id}`, "StartTime=now").catch(async (error: unknown) => {
    if ((await slurmState(id)) === "PENDING") throw error;
  });
}

/** A restarted job waits two minutes by Slurm's own rule; a test does not. */
async function hurry(folder: string): Promise<void> {
  const id = await jobId(folder);
  await eventually(async () => (await slurmState(id)) === "PENDING");
  await startNow(id);
}

/** Waits until a checkpoint is being written. */
async function savingIn(folder: string): Promise<void> {
  const isSaving = async (): Promise<boolean> => {
    const names = await readdir(runPaths(folder).stages, { recursive: true }).catch(() => []);
    return names.some((name) => /checkpoints\/[^/]*[^/\d][^/]*$/.test(name));
  };
  expect(await trueWithin(120_000, isSaving, { mostMs: 20 })).toBe(true);
}

describe.skipIf(!canStartSlurm).concurrent("on a Slurm of one node", () => {
  test("a run that is longer than its time limit is started again until it is done, and ends with the same bytes", async () => {
    // Slurm asks for the checkpoint at its first look later than 80 seconds before the limit, and looks every 30 seconds: no start works for 36.
    const options = { steps: 900, pauseMs: 40 };
    const folder = await submitFake(options, { time: "1", saveSeconds: 50, restartsWithoutProgress: 20 });
    const id = await jobId(folder);
    await eventually(async () => {
      if ((await slurmState(id)) === "PENDING") await startNow(id);
      return (await runStatus(folder)).state.kind === "done";
    }, 480_000);
    const begins = (await output(folder)).split("\n").filter((line) => line === "begins").length;
    expect(begins).toBeGreaterThan(1);
    await expectUncut(folder, options);
  }, 600_000);

  test("a run is submitted, followed and done, and its bytes are those of a run at home", async () => {
    const options = { steps: 20, pauseMs: 20 };
    const folder = await submitFake(options);
    const seqs: number[] = [];
    for await (const { seq } of followEvents(folder)) seqs.push(seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    const { state, work, job, record } = await runStatus(folder);
    expect({ state, work }).toEqual({ state: { kind: "done" }, work: "gone" });
    expect(record?.job).toBe(job?.executor === "slurm" ? job.name : "");
    expect(await output(folder)).toContain('{"kind":"done"}');
    await expectUncut(folder, options);
  });

  test("asked by USR1 in the middle it saves, is started again by Slurm, and ends with the same bytes", async () => {
    const options = { steps: 150, pauseMs: 20 };
    const folder = await submitFake(options);
    await nextEvent(folder, progressed);
    await slurm.ask("scancel", "--signal=USR1", "--batch", await jobId(folder));
    await reaches(folder, "waiting");
    await hurry(folder);
    await nextEvent(folder, ({ kind }) => kind === "stage-resumed");
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });

  test("cancel stops a run after a checkpoint, and it is not started again", async () => {
    const options = { steps: 100, pauseMs: 30 };
    const folder = await submitFake(options);
    await nextEvent(folder, progressed);
    expect(await cancelRun(folder)).toBe(true);
    expect(await runStatus(folder)).toMatchObject({ work: "gone", mayGoOn: false, state: { kind: "cancelled" } });
    expect(await cancelRun(folder)).toBe(false);
    await submitAgain(folder, options);
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });

  test("scancel in the middle of a checkpoint stops the run, which goes on to the same bytes when asked to", async () => {
    const options = { steps: 20, pauseMs: 10, everyNth: 1, slowMs: 15 };
    const folder = await submitFake(options);
    await savingIn(folder);
    await slurm.ask("scancel", await jobId(folder));
    await reaches(folder, "cancelled");
    expect(await runStatus(folder)).toMatchObject({ work: "gone", mayGoOn: false });
    await submitAgain(folder, options);
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });

  test("scontrol requeue in the middle of a checkpoint starts the run again, and it ends with the same bytes", async () => {
    const options = { steps: 20, pauseMs: 10, everyNth: 1, slowMs: 15 };
    const folder = await submitFake(options);
    await savingIn(folder);
    await slurm.ask("scontrol", "requeue", await jobId(folder));
    await hurry(folder);
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });

  test("a job that Slurm has forgotten is done if its run says so, and else gone, but not at once", async () => {
    const done = await submitFake({ steps: 3, pauseMs: 0 });
    const folder = await submitFake({ steps: 3, pauseMs: 0 }, { extraArgs: ["--hold"] });
    const id = await jobId(folder);
    // Until Slurm has listed it: an answer from before its submission counts as its absence, from then on.
    await eventually(async () => (await runStatus(folder)).work === "waiting");
    await slurm.ask("scancel", id);
    await eventually(async () => (await slurmState(id)) === "" && (await slurmState(await jobId(done))) === "");
    expect(await runStatus(done)).toMatchObject({ work: "gone", state: { kind: "done" } });
    // The one that the tests share may still have an answer that lists the job.
    const executor = new SlurmExecutor(times);
    const job = await jobOf(folder);
    expect(await executor.state(folder, job)).toMatchObject({ state: "unknown" });
    await eventually(async () => (await executor.state(folder, job)).state === "gone");
    await reaches(folder, "interrupted");
    expect((await runStatus(folder)).state).toEqual({ kind: "interrupted", why: "Slurm no longer knows its job" });
  });

  test("a run whose submitter is killed at some moment is done once", async () => {
    for (const afterMs of [300, 700, 1200]) {
      const runFolder = await prepareRun(await scratchFolder(), "demo", {});
      const argv = [process.execPath, fakeRun, runFolder, JSON.stringify({ steps: 3 })] as const;
      const submitter = spawn(
        process.execPath,
        [fakeRun.replace("fake-run", "submitter"), JSON.stringify({ runFolder, argv }), JSON.stringify(slurmPlace())],
        { stdio: "ignore" },
      );
      await delay(afterMs);
      submitter.kill("SIGKILL");
      await submitRun({ runFolder, argv }, slurmPlace()).catch((error: unknown) => {
        if (!(error instanceof JobThereError || error instanceof LockedError)) throw error;
      });
      await reaches(runFolder, "done");
      const started: string[] = [];
      for await (const event of followEvents(runFolder)) if (event.kind === "stage-started") started.push(event.stage);
      expect(started).toEqual(["base", "first", "tuned", "report"]);
    }
  });

  test(
    "lfp run --seeds leaves what runs at home leave",
    async () => expectSeedsAsAtHome(await ownFolder("seeds")),
    600_000,
  );

  test(
    "lfp calibrate leaves what it leaves at home",
    async () => expectCalibrationAsAtHome(await ownFolder("calibration")),
    600_000,
  );
});

describe.skipIf(!canStartSlurm)("on a Slurm of one node that has troubles of its own,", () => {
  test("a run goes on while the controller is down, and a waiting job is neither lost nor called gone", async () => {
    const options = { steps: 250, pauseMs: 40 };
    const folder = await submitFake(options);
    const waiting = await submitFake(options, { extraArgs: ["--hold"] });
    await nextEvent(folder, progressed);
    await slurm.stopController();
    await eventually(async () => (await runStatus(waiting)).work === "unknown");
    expect((await runStatus(waiting)).state).toMatchObject({
      kind: "waiting",
      for: expect.stringMatching(/^word of its job/),
    });
    // Slurm's commands wait long for a controller that is down; the run may have come to its end by then.
    expect((await runStatus(folder)).state.kind).toMatch(/running|done/);
    await slurm.startController();
    await eventually(async () => (await runStatus(waiting)).work === "waiting");
    expect(await cancelRun(waiting)).toBe(true);
    expect((await runStatus(waiting)).state.kind).toBe("new");
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });

  test("a run whose node goes down goes on, and ends with the same bytes", async () => {
    const options = { steps: 100, pauseMs: 30 };
    const folder = await submitFake(options);
    await nextEvent(folder, progressed);
    const node = (await slurm.ask("sinfo", "--noheader", "--format=%n")).trim();
    await slurm.ask("scontrol", "update", `NodeName=${node}`, "State=DOWN", "Reason=test");
    await reaches(folder, "waiting");
    // It may have returned by itself, as soon as its daemon spoke; then it cannot be told to.
    await eventually(async () => {
      await slurm.ask("scontrol", "update", `NodeName=${node}`, "State=RESUME").catch(() => "");
      return (await slurm.ask("sinfo", "--noheader", "--format=%T")).trim() === "idle";
    });
    // A node that is only said to be down may report the end of the old attempt as the new one's: then we submit again.
    let seen: unknown;
    const isDone = await trueWithin(120_000, async () => {
      const { state, mayGoOn, work } = await runStatus(folder);
      const id = await jobId(folder);
      const job = await slurmState(id);
      seen = { state, work, mayGoOn, job, node: await slurm.ask("sinfo", "--noheader", "--format=%T %E") };
      if (mayGoOn) await submitAgain(folder, options);
      if (job === "PENDING") await startNow(id);
      return state.kind === "done";
    });
    expect(isDone ? "done" : seen).toBe("done");
    await expectUncut(folder, options);
  });
});
