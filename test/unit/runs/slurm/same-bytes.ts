/** What `lfp run --seeds --on slurm` and `lfp calibrate --on slurm` leave, beside what they leave at home; for a Slurm that is there. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { type Ran, spawnLfp } from "../../../support/run-lfp.ts";
import { smallestExperiment } from "../../pipeline/tiny-experiment.ts";
import { lastingFiles } from "../lasting-files.ts";

/** Runs `lfp` in a folder whose cluster takes jobs of one processor. */
async function lfpIn(folder: string): Promise<(...args: readonly string[]) => Promise<Ran>> {
  await writeFile(join(folder, "executors.json"), JSON.stringify({ slurm: { cpus: 1, sharedFolder: folder } }));
  const env = { LFP_EXECUTORS: join(folder, "executors.json") };
  await writeFile(join(folder, "tiny.json"), JSON.stringify(smallestExperiment));
  return async (...args) => {
    const ran = await spawnLfp(folder, args, { env });
    expect(ran.code, ran.stderr).toBe(0);
    return ran;
  };
}

/** Of seeds as jobs, each was a task of one array, and one leaves what a run at home leaves. */
export async function expectSeedsAsAtHome(folder: string): Promise<void> {
  const lfp = await lfpIn(folder);
  const { stdout } = await lfp("run", "tiny.json", "--out", "there", "--seeds", "1,7", "--on", "slurm");
  expect(stdout).toContain("The report over seeds is in");
  const jobs = await Promise.all([1, 7].map(async (seed) => (await runStatus(join(folder, `there-seed${seed}`))).job));
  const ids = jobs.map((job) => (job?.executor === "slurm" ? job.id : undefined));
  expect(ids).toEqual([expect.stringMatching(/^\d+_0$/), expect.stringMatching(/^\d+_1$/)]);
  await lfp("run", "tiny.json", "--out", join("home", "there-seed7"), "--seed", "7");
  expect(await lastingFiles(join(folder, "there-seed7"))).toEqual(
    await lastingFiles(join(folder, "home", "there-seed7")),
  );
}

/** A calibration whose parts are jobs leaves what one leaves whose parts are processes of this machine. */
export async function expectCalibrationAsAtHome(folder: string): Promise<void> {
  const lfp = await lfpIn(folder);
  const asked = ["calibrate", "tiny.json", "--sets", "1", "--nulls", "1", "--words-per-set", "4", "--met", "0"];
  const few = [...asked, "--steps", "0"];
  await lfp(...few, "--out", join("there", "tiny-calibration"), "--on", "slurm", "--at-most", "2");
  await lfp(...few, "--out", join("home", "tiny-calibration"));
  const there = join(folder, "there", "tiny-calibration");
  for (const part of ["set1", "null1", "base"])
    expect((await runStatus(join(there, part))).job).toMatchObject({ executor: "slurm" });
  const own = async (calibration: string) =>
    [...(await lastingFiles(calibration))].filter(([path]) => /^(stages\/|[a-z-]+\.(json|jsonl|md)$)/.test(path));
  expect(await own(there)).toEqual(await own(join(folder, "home", "tiny-calibration")));
}
