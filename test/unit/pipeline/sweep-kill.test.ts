import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../../server/common/random.ts";
import { cancelSweep } from "../../../server/pipeline/sweep/run-sweep.ts";
import { listRuns } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { RUNNING_SBATCH, RUNNING_SQUEUE, useFakeSlurm } from "../../support/fake-slurm.ts";
import { PATIENT } from "../runs/scratch.ts";
import { type FakeSweep, makeFakeSweep } from "./fake-sweep.ts";

const fake = useFakeSlurm();
let sweep: FakeSweep;
const random = Random.fromSeed(5);
beforeAll(async () => {
  sweep = await makeFakeSweep();
});

beforeEach(async () => {
  await fake.answer("sbatch", RUNNING_SBATCH);
  await fake.answer("squeue", RUNNING_SQUEUE);
});

describe("the process that works on a sweep", { timeout: 240_000 }, () => {
  it.each([
    ["local", 0],
    ["slurm", 1],
  ] as const)(
    "loses no run and computes no stage twice when it is killed at 20 random moments: %s",
    async (where, arrays) => {
      for (let [kills, number] = [0, 0]; kills < 20; number++) {
        const folder = join(sweep.root, where, `sweep-${number}`);
        for (let isOver = false; !isOver; ) {
          const child = sweep.start(folder, where);
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
        await sweep.expectAllOnce(folder);
      }
      expect(
        (await fake.calls("sbatch")).filter((call) => call.includes("--array=0-5%2")).length,
      ).toBeGreaterThanOrEqual(arrays);
    },
  );

  it("stops every run after a checkpoint when it is asked to, and goes on from there", async () => {
    const folder = join(sweep.root, "stopped");
    const child = sweep.start(folder);
    const exit = once(child, "exit");
    const first = join(folder, "seed1-steps-4");
    const kind = async () => (await runStatus(first).catch(() => undefined))?.state.kind;
    await expect.poll(kind, PATIENT).toMatch(/running|done/);
    child.kill("SIGTERM");
    expect(await exit).toEqual([75, null]);
    for (const name of await listRuns(folder)) expect((await runStatus(join(folder, name))).work).toBe("gone");
    expect(["cancelled", "done"]).toContain((await runStatus(first)).state.kind);
    expect(await once(sweep.start(folder), "exit")).toEqual([0, null]);
    await sweep.expectAllOnce(folder);
  });

  it("refuses a sweep that another process works on, and is stopped with its runs by whoever cancels the sweep", async () => {
    const folder = join(sweep.root, "twice");
    const first = sweep.start(folder);
    const exit = once(first, "exit");
    if (first.stdout !== null) await once(first.stdout, "data");
    const second = spawn(process.execPath, first.spawnargs.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    second.stderr.on("data", (data: Buffer) => {
      said += data.toString();
    });
    expect((await once(second, "exit"))[0]).not.toBe(0);
    expect(said).toContain("sweep twice is held by process");
    await cancelSweep(folder);
    expect(await exit).toEqual([75, null]);
    for (const name of await listRuns(folder)) expect((await runStatus(join(folder, name))).work).toBe("gone");
    expect(JSON.parse(await readFile(join(folder, "sweep.json"), "utf8")).runs).toHaveLength(6);
  });
});
