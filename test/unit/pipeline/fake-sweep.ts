/** A sweep of three seeds and two settings, whose runs are of fake stages; and what it must leave. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { RunPlace } from "../../../server/protocol/runs.ts";
import { followEvents } from "../../../server/runs/follow.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { listRuns } from "../../../server/runs/run-folder.ts";
import { fakePlan } from "../runs/fake-stages.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { scratchFolder } from "../runs/scratch.ts";

const PROGRAM = fileURLToPath(new URL("sweep-submitter.ts", import.meta.url));
const SEEDS = [1, 2, 3];
const STEPS = [4, 6];
/** The weights to begin with are shared by the runs of a seed; trainings and reports are not. */
const STAGES = SEEDS.length * (1 + 3 * STEPS.length);

export interface FakeSweep {
  /** For sweeps' folders. */
  readonly root: string;
  /** Starts a process that works on the sweep in a folder. */
  readonly start: (folder: string, where?: (typeof RunPlace.options)[number]) => ChildProcess;
  /** Every run is done, with the bytes of one that is started alone, and no stage was computed twice. */
  readonly expectAllOnce: (folder: string) => Promise<void>;
}

/** Writes the sweep's file, and runs each of its runs alone. */
export async function makeFakeSweep(): Promise<FakeSweep> {
  const root = await scratchFolder();
  const file = join(root, "fake.lfp-sweep.json");
  const base = { preset: "quick", tuning: { warmupSteps: 0 } };
  await writeFile(file, JSON.stringify({ base, seeds: SEEDS, grid: { "tuning.steps": STEPS } }));
  const expected = new Map<string, Map<string, string>>();
  for (const seed of SEEDS) {
    for (const steps of STEPS) {
      const name = `seed${seed}-steps-${steps}`;
      const folder = join(root, "alone", name);
      await runPipeline(fakePlan({ steps, pauseMs: 60 }), folder, { seed, deviceClass: "cpu", queued: false });
      expected.set(name, await lastingFiles(folder));
    }
  }
  return {
    root,
    start: (folder, where = "local") =>
      spawn(process.execPath, [PROGRAM, file, folder, where], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, LFP_STATE_DIR: join(root, "state") },
      }),
    expectAllOnce: (folder) => expectAllOnce(folder, expected),
  };
}

async function expectAllOnce(
  folder: string,
  expected: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<void> {
  const names = await listRuns(folder);
  expect(names).toEqual([...expected.keys()]);
  const finished: string[] = [];
  for (const name of names) {
    expect(await filesOf(join(folder, name)), name).toEqual(expected.get(name));
    let isDone = false;
    for await (const event of followEvents(join(folder, name))) {
      if (event.kind === "stage-finished") finished.push(event.key);
      // Twice where a submitter was killed between a process and its record: the next process finds all stages done.
      if (event.kind === "state" && event.state.kind === "done") isDone = true;
    }
    expect(isDone, name).toBe(true);
  }
  expect(new Set(finished).size).toBe(STAGES);
  expect(finished.length).toBe(STAGES);
}

/** Files of a run, without what only its sweep or its jobs have. */
async function filesOf(folder: string): Promise<Map<string, string>> {
  const files = await lastingFiles(folder);
  for (const path of files.keys()) if (path === "experiment.json" || path.startsWith("jobs/")) files.delete(path);
  return files;
}
