/** What `lfp run --seeds --on slurm` and `lfp calibrate --on slurm` leave, beside what they leave at home; for a Slurm that is there. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { type Ran, spawnLfp } from "../../../support/run-lfp.ts";
import { lastingFiles } from "../lasting-files.ts";

/** As small as an experiment goes. */
const tiny = {
  preset: "quick",
  name: "tiny",
  data: { limit: 300, heldOut: 32 },
  tuning: { steps: 1, batchSize: 8, miniBatchSize: 8, epochs: 1 },
  sampling: { rows: 8, scoredRows: 8 },
  evaluate: { prompts: 8 },
  divergence: { layers: 1 },
  sae: { multiples: [1, 2], maxTokens: 4096, batchTokens: 1024, bufferTokens: 4096, contextLength: 64 },
  learned: { texts: 60, tokens: 48, minPlaces: 3 },
  triples: { limit: 60 },
  probe: { resamples: 10, permutations: 9, xavierSeeds: 1, labelShuffles: 1, foldDraws: 1, refits: 3 },
  examples: { tokens: 2000, windowTokens: 8 },
  explain: { perLayer: 2 },
  attribute: { prompts: 16 },
  ablate: { features: 2, prompts: 16, completions: 1, draws: 1, drawsBeside: 1, single: 1 },
};

/** Runs `lfp` in a folder whose cluster takes jobs of one processor. */
async function lfpIn(folder: string): Promise<(...args: readonly string[]) => Promise<Ran>> {
  await writeFile(join(folder, "executors.json"), JSON.stringify({ slurm: { cpus: 1, sharedFolder: folder } }));
  process.env["LFP_EXECUTORS"] = join(folder, "executors.json");
  await writeFile(join(folder, "tiny.json"), JSON.stringify(tiny));
  return async (...args) => {
    const ran = await spawnLfp(folder, args);
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
