import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../../server/common/random.ts";
import { followEvents } from "../../../server/runs/follow.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { listRuns } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { fakePlan } from "../runs/fake-stages.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { PATIENT, scratchFolder } from "../runs/scratch.ts";

const PROGRAM = fileURLToPath(new URL("sweep-submitter.ts", import.meta.url));
const SEEDS = [1, 2, 3];
const STEPS = [4, 6];
/** The weights to begin with are shared by the runs of a seed; trainings and reports are not. */
const STAGES = SEEDS.length * (1 + 3 * STEPS.length);

let root: string;
let file: string;
const random = Random.fromSeed(5);
/** What each run leaves that is started alone. */
const expected = new Map<string, Map<string, string>>();

beforeAll(async () => {
  root = await scratchFolder();
  file = join(root, "fake.lfp-sweep.json");
  const base = { preset: "quick", tuning: { warmupSteps: 0 } };
  await writeFile(file, JSON.stringify({ base, seeds: SEEDS, grid: { "tuning.steps": STEPS } }));
  for (const seed of SEEDS) {
    for (const steps of STEPS) {
      const name = `seed${seed}-steps-${steps}`;
      const folder = join(root, "alone", name);
      await runPipeline(fakePlan({ steps, pauseMs: 60 }), folder, { seed, deviceClass: "cpu", queued: false });
      expected.set(name, await lastingFiles(folder));
    }
  }
});

function start(folder: string) {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(root, "compile-cache") };
  return spawn(process.execPath, [PROGRAM, file, folder], { stdio: ["ignore", "pipe", "inherit"], env });
}

/** Files of a run, without what only its sweep has. */
async function filesOf(folder: string): Promise<Map<string, string>> {
  const files = await lastingFiles(folder);
  files.delete("experiment.json");
  return files;
}

async function expectAllOnce(folder: string): Promise<void> {
  const names = await listRuns(folder);
  expect(names).toEqual([...expected.keys()]);
  const finished: string[] = [];
  for (const name of names) {
    expect(await filesOf(join(folder, name)), name).toEqual(expected.get(name));
    let ends = 0;
    for await (const event of followEvents(join(folder, name))) {
      if (event.kind === "stage-finished") finished.push(event.key);
      if (event.kind === "state" && event.state.kind === "done") ends += 1;
    }
    expect(ends, name).toBe(1);
  }
  expect(new Set(finished).size).toBe(STAGES);
  expect(finished.length).toBe(STAGES);
}

describe("the process that works on a sweep", { timeout: 240_000 }, () => {
  it("loses no run and computes no stage twice when it is killed at 20 random moments", async () => {
    for (let [kills, sweep] = [0, 0]; kills < 20; sweep++) {
      const folder = join(root, `sweep-${sweep}`);
      for (let isOver = false; !isOver; ) {
        const child = start(folder);
        const exit = once(child, "exit");
        // Half of the kills hit it while it starts and records, half while it submits and follows.
        if (kills % 2 === 1 && child.stdout !== null) await Promise.race([once(child.stdout, "data"), exit]);
        if (kills < 20) {
          await Promise.race([delay(random.uniform() * 900), exit]);
          child.kill("SIGKILL");
        }
        const [code, signal] = await exit;
        if (signal === "SIGKILL") kills += 1;
        isOver = signal !== "SIGKILL";
        if (isOver) expect(code).toBe(0);
      }
      await expectAllOnce(folder);
    }
  });

  it("stops every run after a checkpoint when it is asked to, and goes on from there", async () => {
    const folder = join(root, "stopped");
    const child = start(folder);
    const exit = once(child, "exit");
    const first = join(folder, "seed1-steps-4");
    await expect.poll(async () => (await runStatus(first).catch(() => undefined))?.state.kind, PATIENT).toBe("running");
    child.kill("SIGTERM");
    expect(await exit).toEqual([75, null]);
    for (const name of await listRuns(folder)) expect((await runStatus(join(folder, name))).work).toBe("gone");
    expect(["cancelled", "done"]).toContain((await runStatus(first)).state.kind);
    expect(await once(start(folder), "exit")).toEqual([0, null]);
    await expectAllOnce(folder);
  });

  it("refuses a sweep that another process works on", async () => {
    const folder = join(root, "twice");
    const first = start(folder);
    const exit = once(first, "exit");
    if (first.stdout !== null) await once(first.stdout, "data");
    const second = spawn(process.execPath, [PROGRAM, file, folder], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    second.stderr.on("data", (data: Buffer) => {
      said += data.toString();
    });
    expect((await once(second, "exit"))[0]).not.toBe(0);
    expect(said).toContain("sweep twice is held by process");
    expect(await exit).toEqual([0, null]);
    expect(JSON.parse(await readFile(join(folder, "sweep.json"), "utf8")).runs).toHaveLength(6);
  });
});
