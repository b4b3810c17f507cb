/** Runs on a real Slurm of one node. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { RunEvent } from "../../../../server/protocol/run-events.ts";
import type { Place } from "../../../../server/runs/executor-settings.ts";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import { cancelRun, submitRun } from "../../../../server/runs/jobs.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import type { AnyState } from "../../../../server/runs/state-words.ts";
import { trueWithin } from "../../../../server/runs/stop-process.ts";
import { canStartSlurm, startSlurm, type TestSlurm } from "../../../support/slurm.ts";
import { fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  const times = { pollMs: 1000, hurryMs: 500, mostMs: 4000, absentMs: 3000, commandMs: 20_000 };
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const fakeRun = fileURLToPath(new URL("../fake-run.ts", import.meta.url));

function slurmPlace(stated: object = {}): Place {
  return { executor: "slurm", settings: placeSchemas.slurm.parse({ cpus: 1, ...stated }) };
}

interface FakeOptions {
  readonly steps: number;
  readonly pauseMs: number;
}

async function submitFake(options: FakeOptions, stated: object = {}): Promise<string> {
  const runFolder = await prepareRun(await scratchFolder(), "demo", {});
  const argv = [process.execPath, fakeRun, runFolder, JSON.stringify(options)] as const;
  await submitRun({ runFolder, argv }, slurmPlace(stated));
  return runFolder;
}

async function expectUncut(folder: string, options: FakeOptions): Promise<void> {
  const uncut = join(await scratchFolder(), "uncut");
  await runPipeline(fakePlan(options), uncut, { seed: 7, deviceClass: "cpu", queued: false });
  const files = await lastingFiles(folder);
  files.delete("experiment.json");
  expect(files).toEqual(await lastingFiles(uncut));
}

async function jobId(folder: string): Promise<string> {
  const { job } = await runStatus(folder);
  if (job?.executor !== "slurm" || job.id === undefined) throw new TypeError(`no job of Slurm: ${JSON.stringify(job)}`);
  return job.id;
}

async function eventually(isTrue: () => Promise<boolean>): Promise<void> {
  expect(await trueWithin(120_000, isTrue)).toBe(true);
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

describe.skipIf(!canStartSlurm).concurrent("on a Slurm of one node", () => {
  let slurm: TestSlurm;
  beforeAll(async () => {
    slurm = await startSlurm();
  }, 90_000);
  afterAll(async () => {
    await slurm.stop();
  });

  /** A restarted job waits two minutes by Slurm's own rule; a test does not. */
  async function hurry(folder: string): Promise<void> {
    const id = await jobId(folder);
    const state = async () => (await slurm.ask("squeue", "--noheader", `--jobs=${id}`, "--format=%T")).trim();
    await eventually(async () => (await state()) === "PENDING");
    await slurm.ask("scontrol", "update", `JobId=${id}`, "StartTime=now");
  }

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
    const argv = [process.execPath, fakeRun, folder, JSON.stringify(options)] as const;
    await submitRun({ runFolder: folder, argv }, slurmPlace());
    await reaches(folder, "done");
    await expectUncut(folder, options);
  });
});
