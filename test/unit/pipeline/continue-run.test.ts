/** Going on with a folder that belongs to a calibration or to seeds does what the command would do that made it. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { calibrationWords } from "../../../server/pipeline/calibration-options.ts";
import { continueRun } from "../../../server/pipeline/continue-run.ts";
import { recordMembers } from "../../../server/pipeline/sweep/members.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { fakePlan } from "../runs/fake-stages.ts";
import { scratchFolder } from "../runs/scratch.ts";

useStateFolder("continue-run");
const program = [process.execPath, "-e", "0"] as const;
const asked = { sets: 2, nulls: 1, wordsPerSet: 4, factor: -1, met: 0, seeds: [7, 8, 9], steps: 3 };
const words = ["--sets=2", "--nulls=1", "--factor=-1", "--met=0", "--seeds=7,8,9", "--words-per-set=4", "--steps=3"];

let root: string;
let calibration: string;
let part: string;
beforeEach(async () => {
  root = await scratchFolder();
  calibration = await prepareRun(root, "demo-calibration", { preset: "quick" });
  part = await prepareRun(calibration, "set1", { preset: "quick" });
  await recordMembers(calibration, [{ folder: part }], { calibration: asked });
});

/** What was started for a run, after the program. */
async function startedFor(folder: string): Promise<readonly string[] | undefined> {
  return (await runStatus(folder)).job?.argv.slice(program.length);
}

test("the options of a calibration are those that the command takes", () => {
  expect(calibrationWords(asked)).toEqual(words);
  expect(calibrationWords({ ...asked, seeds: undefined, steps: undefined })).not.toContainEqual(
    expect.stringMatching(/seeds|steps/),
  );
});

test("a part of a calibration is computed as that calibration's part", async () => {
  await continueRun(part, program, { on: "local" });
  const { experiment } = runPaths(part);
  expect(await startedFor(part)).toEqual(["calibrate", experiment, "--out", calibration, "--only", "set1", ...words]);
});

test("a calibration's own folder goes on with all of it, from this machine also where its runs are elsewhere", async () => {
  await continueRun(calibration, program, { on: "slurm" });
  expect((await runStatus(calibration)).job?.executor).toBe("local");
  const { experiment } = runPaths(calibration);
  expect(await startedFor(calibration)).toEqual([
    "calibrate",
    experiment,
    "--out",
    calibration,
    ...words,
    "--on",
    "slurm",
  ]);
});

test("any other run goes on with its experiment", async () => {
  const run = await prepareRun(root, "demo", { preset: "quick" });
  await continueRun(run, program, { on: "local" });
  expect(await startedFor(run)).toEqual(["run", runPaths(run).experiment, "--out", run]);
});

describe("a folder that does not say how it goes on is left alone, with the command that would", () => {
  test.each([
    ["demo-seeds", "lfp run EXPERIMENT --out ROOT/demo --seeds LIST"],
    ["older", "lfp calibrate EXPERIMENT --out ROOT/older"],
  ])("%s", async (name, command) => {
    const folder = await prepareRun(root, name, { preset: "quick" });
    await recordMembers(folder, []);
    await expect(continueRun(folder, program, { on: "local" })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(`\`${command.replace("ROOT", root)}\``),
    });
    expect(await startedFor(folder)).toBeUndefined();
  });

  test("a calibration that one process made", async () => {
    const folder = join(root, "whole");
    const plan = fakePlan({ steps: 1, pauseMs: 0 }).map((planned) => ({
      ...planned,
      stage: { ...planned.stage, name: "calibrate" },
    }));
    await runPipeline(plan, folder, { seed: 1, deviceClass: "cpu", queued: false });
    await expect(continueRun(folder, program, { on: "local" })).rejects.toThrow(
      `lfp calibrate EXPERIMENT --out ${folder}`,
    );
  });
});

test("without an experiment there is nothing to go on with", async () => {
  const folder = join(root, "empty");
  await expect(continueRun(folder, program, { on: "local" })).rejects.toMatchObject({ code: "not-found" });
});

test("lfp run and lfp stage refuse such a folder, change nothing in it and name the command that goes on", async () => {
  const file = join(root, "other.json");
  await writeFile(file, JSON.stringify({ preset: "quick", seed: 5 }));
  const before = await readdir(root, { recursive: true });
  const commands = [
    [
      ["run", file, "--out", part],
      `lfp calibrate ${runPaths(part).experiment} --out ${calibration} --only set1 --sets=2`,
    ],
    [["run", file, "--out", part, "--detach"], "--only set1"],
    [
      ["stage", file, "tune", "--out", calibration],
      `lfp calibrate ${runPaths(calibration).experiment} --out ${calibration} --sets=2`,
    ],
  ] as const;
  for (const [args, said] of commands) {
    const { code, stderr } = await runLfp([...args], { env: process.env });
    expect(stderr).toContain(said);
    expect(code).toBe(2);
  }
  expect(await readdir(root, { recursive: true })).toEqual(before);
});
