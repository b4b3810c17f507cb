/** Runs that a command made together, found and stopped by the folder of their common result. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { memberFolders, recordMembers } from "../../../server/pipeline/sweep/members.ts";
import { cancelSweep } from "../../../server/pipeline/sweep/run-sweep.ts";
import type { Place } from "../../../server/runs/executor-settings.ts";
import { submitRun } from "../../../server/runs/jobs.ts";
import { prepareRun } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { cluster } from "../runs/toy-executor.ts";

vi.mock("../../../server/runs/job-record.ts", async (actual) => {
  const module = await actual<typeof import("../../../server/runs/job-record.ts")>();
  const { ToyJob } = await import("../runs/toy-executor.ts");
  return { ...module, JobRecord: z.union([ToyJob, module.JobRecord]) };
});
vi.mock("../../../server/runs/executors.ts", async (actual) => {
  const { executors } = await actual<typeof import("../../../server/runs/executors.ts")>();
  const { toyExecutor } = await import("../runs/toy-executor.ts");
  return { executors: { ...executors, toy: toyExecutor } };
});

const toy: Place = JSON.parse('{"executor":"toy","settings":{}}');

let root: string;
let together: string;
beforeEach(async () => {
  root = await scratchFolder();
  together = join(root, "demo-seeds");
  await mkdir(together);
  cluster.jobs.length = 0;
});

async function startMembers(): Promise<string[]> {
  const runs = [await prepareRun(root, "demo-seed1", {}), await prepareRun(together, "set1", {})];
  await recordMembers(
    together,
    runs.map((folder) => ({ folder })),
  );
  for (const runFolder of runs) await submitRun({ runFolder, argv: ["lfp"] }, toy);
  return runs;
}

test("runs in the folder and beside it are found by it", async () => {
  expect(await memberFolders(together)).toBeUndefined();
  const runs = await startMembers();
  expect(await memberFolders(together)).toEqual(runs);
});

test("all of them are stopped by it, and no other run", async () => {
  const [beside = "", inside = ""] = await startMembers();
  const other = await prepareRun(root, "other", {});
  await submitRun({ runFolder: other, argv: ["lfp"] }, toy);
  expect(await cancelSweep(together)).toEqual(["demo-seed1", "set1"]);
  for (const run of [beside, inside]) expect((await runStatus(run)).work).toBe("gone");
  expect((await runStatus(other)).work).toBe("waiting");
  expect(await cancelSweep(together)).toEqual([]);
});

test("lfp status and lfp cancel take the folder for its runs, before it has a run of its own", async () => {
  await startMembers();
  const { stdout } = await runLfp(["status", together]);
  expect(stdout).toContain("demo-seed1");
  expect(stdout).toContain("set1");
  const cancelled = await runLfp(["cancel", together]);
  expect(cancelled.stdout).toContain("stopped demo-seed1, set1");
  expect(cancelled.code).toBe(0);
});

test.each(["../../elsewhere", "/tmp", "..", "a/b", "../a/b"])("a list that names %s is refused", async (name) => {
  await writeFile(join(together, "members.json"), JSON.stringify({ format: 1, runs: [name] }));
  await expect(memberFolders(together)).rejects.toThrow("is not a list of runs that this version can read");
});
