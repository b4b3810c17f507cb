/** Runs on a real Ray of one node. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Place, readPlace } from "../../../../server/runs/executor-settings.ts";
import { followEvents } from "../../../../server/runs/follow.ts";
import { cancelRun, submitRun } from "../../../../server/runs/jobs.ts";
import { runMany } from "../../../../server/runs/many-runs.ts";
import { RayClient } from "../../../../server/runs/ray/client.ts";
import { runPipeline } from "../../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { canStartRay, startRay, type TestRay } from "../../../support/ray.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { fakePlan } from "../fake-stages.ts";
import { lastingFiles } from "../lasting-files.ts";
import { scratchFolder } from "../scratch.ts";

useStateFolder("real-ray");

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { RayExecutor } = await import("../../../../server/runs/ray/executor.ts");
  const times = { freshMs: 200, absentMs: 3000, commandMs: 30_000, killMs: 30_000 };
  return { executors: { local: localExecutor, ray: new RayExecutor(times) } };
});

const fakeRun = fileURLToPath(new URL("../fake-run.ts", import.meta.url));
const PATIENT = { timeout: 60_000, interval: 200 };

describe.skipIf(!canStartRay)("on a Ray of one node", { timeout: 240_000 }, () => {
  let ray: TestRay;
  let place: Place;
  beforeAll(async () => {
    ray = await startRay();
    place = await readPlace("ray");
  }, 180_000);
  afterAll(() => ray.stop(), 60_000);

  const options = { steps: 40, pauseMs: 50 };
  const specOf = (runFolder: string, own: object = options) => ({
    runFolder,
    argv: [process.execPath, fakeRun, runFolder, JSON.stringify(own)] as const,
  });

  async function submitted(): Promise<string> {
    const folder = await prepareRun(await scratchFolder(), "demo", {});
    await submitRun(specOf(folder), place);
    return folder;
  }

  const uncut = new Map<object, Promise<Map<string, string>>>();

  /** What a run leaves at home, which pauses as long as the job does: asked for early, it works beside that. */
  function uncutOf(own: typeof options): Promise<Map<string, string>> {
    const files = uncut.get(own) ?? runUncut(own);
    uncut.set(own, files);
    return files;
  }

  async function runUncut(own: typeof options): Promise<Map<string, string>> {
    const folder = join(await scratchFolder(), "uncut");
    await runPipeline(fakePlan(own), folder, { seed: 7, deviceClass: "cpu", queued: false });
    return await lastingFiles(folder);
  }

  async function expectUncut(folder: string, own = options): Promise<void> {
    const files = await lastingFiles(folder);
    files.delete("experiment.json");
    for (const path of files.keys()) if (path.startsWith("jobs/")) files.delete(path);
    expect(files).toEqual(await uncutOf(own));
  }

  async function untilProgress(folder: string): Promise<void> {
    for await (const event of followEvents(folder)) if (event.kind === "progress" && event.stage === "first") return;
    expect.unreachable("the run ended first");
  }

  const endOf = (folder: string) => expect.poll(async () => (await runStatus(folder)).work, PATIENT).toBe("gone");

  test("a run waits, works and is done with the bytes of a run at home; its output is in its folder", async () => {
    const folder = await submitted();
    expect(["waiting", "working", "unknown"]).toContain((await runStatus(folder)).work);
    await expect(submitRun(specOf(folder), place)).rejects.toMatchObject({ code: "locked" });
    await untilProgress(folder);
    expect(await runStatus(folder)).toMatchObject({ work: "working", state: { kind: "running" } });
    await endOf(folder);
    expect(await runStatus(folder)).toMatchObject({ state: { kind: "done" }, mayGoOn: false });
    await expectUncut(folder);
    expect(await readFile(runPaths(folder).output, "utf8")).toContain("begins");
  });

  test("a run that is stopped has saved, and the next job goes on from there", async () => {
    const folder = await submitted();
    await untilProgress(folder);
    expect(await cancelRun(folder)).toBe(true);
    expect(await runStatus(folder)).toMatchObject({ work: "gone", state: { kind: "cancelled" }, mayGoOn: false });
    await submitRun(specOf(folder), place);
    await endOf(folder);
    const kinds: string[] = [];
    for await (const { kind } of followEvents(folder)) kinds.push(kind);
    expect(kinds).toContain("stage-resumed");
    await expectUncut(folder);
  });

  test("a run that saved because its process was asked to end may be submitted again, to the same bytes", async () => {
    const folder = await submitted();
    await untilProgress(folder);
    const { process: worker } = await runStatus(folder);
    process.kill(worker?.pid ?? expect.fail("no process"), "SIGTERM");
    await endOf(folder);
    const status = await runStatus(folder);
    expect(status).toMatchObject({ mayGoOn: true, state: { kind: "interrupted" } });
    expect(status.state).toMatchObject({ why: "its job saved and ended before the run did" });
    await submitRun({ ...specOf(folder), isAgain: true }, place);
    await endOf(folder);
    await expectUncut(folder);
  });

  test("many runs work so many at a time, and one that saved and ended is submitted again by whoever follows them", async () => {
    const root = await scratchFolder();
    const folders = await Promise.all(["a", "b", "c"].map((name) => prepareRun(root, name, {})));
    const [first = "", , last = ""] = folders;
    const again: string[] = [];
    const ends = runMany({
      folders,
      atMost: 2,
      signal: new AbortController().signal,
      onAbort: "stop",
      pollMs: 200,
      place,
      jobOf: async ({ folder, isAgain }) => {
        if (isAgain) again.push(folder);
        return { ...specOf(folder), isAgain };
      },
      onState: () => undefined,
    });
    await expect.poll(async () => (await runStatus(first)).state.kind, PATIENT).toBe("running");
    await untilProgress(first);
    expect((await runStatus(last)).state.kind).toBe("new");
    process.kill((await runStatus(first)).process?.pid ?? expect.fail("no process"), "SIGTERM");
    expect((await ends).map(({ state }) => state.kind)).toEqual(["done", "done", "done"]);
    expect(again).toEqual([first]);
    for (const folder of folders) await expectUncut(folder);
  });

  test("Ray takes an id once: the same submission makes no second job", async () => {
    const client = new RayClient(ray.address);
    const id = "lfp-twice-0123456789ab";
    const submission = { entrypoint: "true", submission_id: id, metadata: {}, runtime_env: { env_vars: {} } };
    await client.submit(submission);
    await expect(client.submit(submission)).rejects.toMatchObject({ status: 500 });
    await expect.poll(async () => (await client.job(id))?.status, PATIENT).toBe("SUCCEEDED");
    expect(await client.job("lfp-unknown")).toBeUndefined();
    expect(await client.version()).toMatch(/^\d+\.\d+/);
  });

  test("a job whose program does not begin ends with its last words", async () => {
    const folder = await prepareRun(await scratchFolder(), "demo", {});
    await submitRun({ runFolder: folder, argv: [process.execPath, "/nowhere/lfp.js"] }, place);
    await endOf(folder);
    const { state } = await runStatus(folder);
    expect(state).toMatchObject({ kind: "interrupted", why: expect.stringContaining("status 1") });
  });

  test("a run whose cluster's head is started anew is submitted again by whoever follows it, and loses nothing", async () => {
    const folder = await prepareRun(await scratchFolder(), "demo", {});
    const long = { steps: 300, pauseMs: 50 };
    void uncutOf(long);
    const said: string[] = [];
    const again: boolean[] = [];
    const ends = runMany({
      folders: [folder],
      atMost: 1,
      signal: new AbortController().signal,
      onAbort: "stop",
      pollMs: 200,
      place,
      jobOf: async ({ isAgain }) => {
        again.push(isAgain);
        return { ...specOf(folder, long), isAgain };
      },
      onState: (_, state) => said.push(JSON.stringify(state)),
    });
    await expect.poll(async () => (await runStatus(folder)).state.kind, PATIENT).toBe("running");
    await untilProgress(folder);
    await ray.restart();
    expect((await ends).map(({ state }) => state.kind)).toEqual(["done"]);
    expect(again).toEqual([false, true]);
    expect(said.join("\n")).toMatch(/cannot be reached|does not know its job|no longer knows its job/);
    await expectUncut(folder, long);
  });
});
