import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, expect, test, vi } from "vitest";
import {
  createProtocolConnection,
  type ProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver/node";
import { z } from "zod";
import { runContext, runDescription } from "../../../extension/runs/run-text.ts";
import { status } from "../../../server/cli/status.ts";
import { type RunningServer, startServer } from "../../../server/lsp/server.ts";
import { submitExperimentRun } from "../../../server/pipeline/experiment-run.ts";
import { CancelRun, ListRuns, RunPlace, RunsChanged, type RunView } from "../../../server/protocol/runs.ts";
import { type Place, placeKinds } from "../../../server/runs/executor-settings.ts";
import { cancelRun, submitRun } from "../../../server/runs/jobs.ts";
import { thisProcess } from "../../../server/runs/process-identity.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { fakePlan } from "./fake-stages.ts";
import { PATIENT, scratchFolder } from "./scratch.ts";
import { cluster } from "./toy-executor.ts";

vi.mock("../../../server/runs/job-record.ts", async (actual) => {
  const module = await actual<typeof import("../../../server/runs/job-record.ts")>();
  const { ToyJob } = await import("./toy-executor.ts");
  return { ...module, JobRecord: z.union([ToyJob, module.JobRecord]) };
});
vi.mock("../../../server/runs/executors.ts", async (actual) => {
  const { executors } = await actual<typeof import("../../../server/runs/executors.ts")>();
  const { toyExecutor } = await import("./toy-executor.ts");
  return { executors: { ...executors, toy: toyExecutor } };
});

/** As they come from outside: the type knows only the kinds that there are. */
const toy: Place = JSON.parse('{"executor":"toy","settings":{}}');

/** The node begins to work, here in this process. */
function giveNode(folder: string): void {
  const job = cluster.jobs.at(-1);
  if (job === undefined) throw new Error("nothing was submitted");
  job.state = "working";
  job.outcome = runPipeline(fakePlan({ steps: 5000, pauseMs: 5 }), folder, {
    seed: 7,
    deviceClass: "cpu",
    queued: false,
    signal: job.stop.signal,
  });
}

const servers: RunningServer[] = [];

afterEach(async () => {
  cluster.isDown = false;
  for (const { stop, outcome } of cluster.jobs) {
    stop.abort();
    await outcome;
  }
  for (const server of servers.splice(0)) server.end(0);
});

/** The language server in this process, whose executors are those of the test, and an editor that shows its runs. */
async function startEditor(runsRoot: string) {
  const [toServer, toEditor] = [new PassThrough(), new PassThrough()];
  servers.push(startServer({ input: toServer, output: toEditor, onEnd: () => undefined, onStuck: () => undefined }));
  const editor: ProtocolConnection = createProtocolConnection(
    new StreamMessageReader(toEditor),
    new StreamMessageWriter(toServer),
  );
  const shown = new Map<string, RunView>();
  editor.onNotification(RunsChanged.method, (told) => {
    for (const view of RunsChanged.params.parse(told).changed) shown.set(view.folder, view);
  });
  editor.listen();
  const initializationOptions = { runsRoots: [runsRoot], trusted: true };
  await editor.sendRequest("initialize", { processId: null, rootUri: null, capabilities: {}, initializationOptions });
  await editor.sendNotification("initialized", {});
  const list = async () => ListRuns.result.parse(await editor.sendRequest(ListRuns.method, {})).runs;
  const description = (folder: string): string => {
    const view = shown.get(folder);
    return view === undefined ? "" : runDescription(view, new Date());
  };
  return { list, description, cancel: (folder: string) => editor.sendRequest(CancelRun.method, { folder }) };
}

async function told(folder: string): Promise<string> {
  const io = { signal: new AbortController().signal, env: {}, say: () => undefined, note: () => undefined };
  return (await status.run([folder], io)).text;
}

test("a job that waits, works and is stopped is seen so by the command and in the editor", async () => {
  const runsRoot = join(await scratchFolder(), "runs");
  const folder = await prepareRun(runsRoot, "demo", {});
  const editor = await startEditor(runsRoot);
  const experimentFile = runPaths(folder).experiment;
  await submitExperimentRun({ folder, experimentFile }, ["lfp"], runsRoot, {
    place: toy,
    options: ["--device", "cpu"],
  });
  const { job, state, work, process: worker } = await runStatus(folder);
  expect(job?.argv).toEqual(["lfp", "run", experimentFile, "--out", folder, "--device", "cpu"]);
  expect({ state, work, worker }).toEqual({
    state: { kind: "waiting", for: "a node of the toy cluster" },
    work: "waiting",
    worker: undefined,
  });
  expect(await told(folder)).toBe(`${folder}: waiting for a node of the toy cluster`);
  const [view] = await editor.list();
  expect(view?.state).toEqual({ kind: "waiting", for: "a node of the toy cluster" });
  expect(view === undefined ? "" : runContext(view)).toBe("run active");
  await expect.poll(() => editor.description(folder), PATIENT).toBe("waiting for a node of the toy cluster");
  await expect(submitRun({ runFolder: folder, argv: ["lfp"] }, toy)).rejects.toMatchObject({
    code: "locked",
    message: expect.stringContaining("demo waits for a node of the toy cluster already"),
  });

  giveNode(folder);
  await expect.poll(() => editor.description(folder), PATIENT).toMatch(/^(base|first|tuned)/);
  expect(await runStatus(folder)).toMatchObject({ work: "working", process: await thisProcess() });
  expect(await told(folder)).toMatch(/running stage .* \(process \d+ on .*\)/);

  await editor.cancel(folder);
  await expect.poll(() => editor.description(folder), PATIENT).toBe("cancelled");
  expect(await runStatus(folder)).toMatchObject({ work: "gone", state: { kind: "cancelled" } });
  expect(await cancelRun(folder)).toBe(false);
});

test("a job that is stopped while it waits leaves the run as it was", async () => {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  await submitRun({ runFolder: folder, argv: ["lfp"] }, toy);
  expect(await cancelRun(folder)).toBe(true);
  expect((await runStatus(folder)).state).toEqual({ kind: "new" });
  await submitRun({ runFolder: folder, argv: ["lfp"] }, toy);
  giveNode(folder);
  await expect.poll(async () => (await runStatus(folder)).state.kind, PATIENT).toBe("running");
  await cancelRun(folder);
  const before = await runStatus(folder);
  await submitRun({ runFolder: folder, argv: ["lfp"] }, toy);
  expect((await runStatus(folder)).state.kind).toBe("waiting");
  await cancelRun(folder);
  expect((await runStatus(folder)).state).toEqual(before.state);
});

test("a job whose record cannot be kept is taken back, since nobody could find it again", async () => {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  await mkdir(join(runPaths(folder).job, "in the way"), { recursive: true });
  await expect(submitRun({ runFolder: folder, argv: ["lfp"] }, toy)).rejects.toMatchObject({ code: "resource" });
  expect(cluster.jobs.at(-1)?.state).toBe("gone");
});

test("a job that is gone without a word is interrupted; one that cannot be asked after is neither", async () => {
  const runsRoot = join(await scratchFolder(), "runs");
  const folder = await prepareRun(runsRoot, "demo", {});
  await submitRun({ runFolder: folder, argv: ["lfp"] }, toy);
  cluster.isDown = true;
  const editor = await startEditor(runsRoot);
  const [view] = await editor.list();
  expect(view?.state).toEqual({ kind: "unreadable", message: "the toy cluster does not answer" });
  await expect(told(folder)).rejects.toThrow("does not answer");
  cluster.isDown = false;
  for (const job of cluster.jobs) job.state = "gone";
  expect((await runStatus(folder)).state).toEqual({ kind: "interrupted" });
});

test("a record without a kind is of this machine, and one of a kind that is not known is no job", async () => {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  const old = { argv: ["lfp"], process: await thisProcess(), submittedAt: new Date().toISOString() };
  await writeFile(runPaths(folder).job, JSON.stringify(old));
  expect(await runStatus(folder)).toMatchObject({
    work: "working",
    state: { kind: "waiting", for: "its start" },
    process: old.process,
    job: { executor: "local" },
  });
  await writeFile(runPaths(folder).job, JSON.stringify({ ...old, executor: "abacus" }));
  expect(await runStatus(folder)).toMatchObject({ work: "gone", state: { kind: "new" } });
});

test("the editor's setting names every kind of executor", () => {
  expect(RunPlace.options).toEqual(placeKinds);
});

test("each kind of executor has its recipe's places", async () => {
  const recipe = await readFile("CONTRIBUTING.md", "utf8");
  expect(recipe).toContain("- **An executor**");
  for (const place of ["job-record.ts", "executor-settings.ts", "executor.ts", "executors.ts", "protocol/runs.ts"])
    expect(recipe).toContain(place);
});
