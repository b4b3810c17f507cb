/** Submitters that are killed at any moment: the run is neither lost nor done twice. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test, vi } from "vitest";
import { byCodeUnit } from "../../../../server/common/order.ts";
import { Random } from "../../../../server/common/random.ts";
import type { JobSpec } from "../../../../server/runs/executor.ts";
import { placeSchemas } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import { noteStop } from "../../../../server/runs/job-notes.ts";
import { JobThereError, submitRun } from "../../../../server/runs/jobs.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, readRecord, runPaths } from "../../../../server/runs/run-folder.ts";
import { LockedError } from "../../../../server/runs/run-lock.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { RUNNING_SBATCH, RUNNING_SQUEUE, useFakeSlurm } from "../../../support/fake-slurm.ts";
import { everyNth, fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { SlurmExecutor } = await import("../../../../server/runs/slurm/executor.ts");
  const times = { pollMs: 100, hurryMs: 50, mostMs: 1000, absentMs: 2000, commandMs: 20_000 };
  return { executors: { local: localExecutor, slurm: new SlurmExecutor(times) } };
});

const fake = useFakeSlurm();
const program = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const place = { executor: "slurm", settings: placeSchemas.slurm.parse({}) } as const;

beforeEach(async () => {
  await fake.answer("sbatch", RUNNING_SBATCH);
  await fake.answer("squeue", RUNNING_SQUEUE);
});

async function newJob(): Promise<JobSpec> {
  const runFolder = await prepareRun(await scratchFolder(), "demo", {});
  return { runFolder, argv: [process.execPath, program("fake-run.ts"), runFolder, JSON.stringify({ steps: 3 })] };
}

function startSubmitter(job: JobSpec) {
  const args = [program("submitter.ts"), JSON.stringify(job), JSON.stringify(place)];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

/** What a person does who finds the run not going on: starts it again. */
async function submitAgain(job: JobSpec): Promise<void> {
  await submitRun(job, place).catch((error: unknown) => {
    if (!(error instanceof JobThereError || error instanceof LockedError)) throw error;
  });
}

async function expectDoneOnce({ runFolder }: JobSpec): Promise<void> {
  await expect
    .poll(async () => (await runStatus(runFolder)).state, { timeout: 60_000, interval: 200 })
    .toEqual({ kind: "done" });
  const begun: string[] = [];
  for await (const event of followEvents(runFolder))
    if (event.kind === "stage-started" || event.kind === "stage-resumed") begun.push(event.stage);
  expect(begun.toSorted(byCodeUnit)).toEqual(["base", "first", "report", "tuned"]);
}

test("a run whose submitter is killed at any of 20 moments is done once when it is started again", async () => {
  const first = await newJob();
  const startMs = performance.now();
  const uncut = startSubmitter(first);
  await once(uncut.stdout, "data");
  const wholeMs = performance.now() - startMs;
  uncut.kill("SIGKILL");
  await expectDoneOnce(first);

  const random = Random.fromSeed(17);
  const found = { nothing: 0, job: 0 };
  /** Half of them are killed at any time since their start, half at any time since they called `sbatch`. */
  const trial = async (sinceCall: boolean): Promise<void> => {
    const job = await newJob();
    const submitter = startSubmitter(job);
    const isCalled = async () => (await fake.calls("sbatch")).some((call) => call.includes(job.runFolder));
    if (sinceCall) await expect.poll(isCalled, { timeout: 60_000, interval: 20 }).toBe(true);
    await delay((sinceCall ? 500 : wholeMs) * random.uniform());
    submitter.kill("SIGKILL");
    await once(submitter, "exit");
    const { work, state } = await runStatus(job.runFolder);
    found[work === "gone" && state.kind !== "done" ? "nothing" : "job"] += 1;
    await submitAgain(job);
    await expectDoneOnce(job);
  };
  for (let i = 0; i < 5; i++) await Promise.all([trial(true), trial(false), trial(true), trial(false)]);
  expect(found.nothing).toBeGreaterThan(0);
  expect(found.job).toBeGreaterThan(0);
});

test("a job that Slurm takes after its submitter was killed and the run was started again ends as it begins", async () => {
  const job = await newJob();
  await fake.answer(
    "sbatch",
    `touch "$FAKE/waits"; while [ -e "$FAKE/waits" ]; do sleep 0.05; done; ${RUNNING_SBATCH}`,
  );
  const submitter = startSubmitter(job);
  await expect.poll(() => fake.calls("sbatch"), { timeout: 60_000 }).toHaveLength(1);
  submitter.kill("SIGKILL");
  await once(submitter, "exit");
  const { job: intent } = await runStatus(job.runFolder);
  await fake.answer("sbatch", `rm -f "$FAKE/waits"; sleep 0.5; ${RUNNING_SBATCH}`);
  await submitAgain(job);
  await expect.poll(() => fake.calls("sbatch"), { timeout: 60_000 }).toHaveLength(2);
  await expectDoneOnce(job);
  expect((await runStatus(job.runFolder)).job).not.toEqual(intent);
});

test("a job that was told to stop after it had begun, and gets the run's lock after the job that did the run, leaves it done", async () => {
  const { runFolder } = await newJob();
  const [late, next] = ["lfp-demo-late", "lfp-demo-next"];
  const options = { seed: 7, deviceClass: "cpu" };
  expect(await runPipeline(fakePlan({ steps: 3 }), runFolder, { ...options, job: next })).toEqual({ kind: "done" });
  const before = await readRecord(runFolder);
  await mkdir(runPaths(runFolder).jobs, { recursive: true });
  await noteStop(runFolder, late);
  expect(await runPipeline(fakePlan({ steps: 3 }), runFolder, { ...options, job: late })).toEqual({
    kind: "cancelled",
  });
  expect(await readRecord(runFolder)).toEqual(before);
  expect(before?.job).toBe(next);
});

test("a job that is told to stop while it works saves and gives the run up to the next job, which ends with the same bytes", async () => {
  const plan = () => fakePlan({ steps: 40, pauseMs: 20 });
  const options = { seed: 7, deviceClass: "cpu", checkpointDue: everyNth(2) };
  const { runFolder } = await newJob();
  const [late, next] = ["lfp-demo-late", "lfp-demo-next"];
  const working = runPipeline(plan(), runFolder, { ...options, job: late });
  await expect
    .poll(async () => (await readRecord(runFolder))?.state, { timeout: 60_000 })
    .toMatchObject({ stage: "first" });
  await mkdir(runPaths(runFolder).jobs, { recursive: true });
  await noteStop(runFolder, late);
  expect(await working).toEqual({ kind: "cancelled", stage: "first" });
  expect(await runPipeline(plan(), runFolder, { ...options, job: next })).toEqual({ kind: "done" });
  const uncut = join(await scratchFolder(), "uncut");
  await runPipeline(plan(), uncut, { ...options, queued: false });
  const files = await lastingFiles(runFolder);
  files.delete("experiment.json");
  expect(files).toEqual(await lastingFiles(uncut));
});
