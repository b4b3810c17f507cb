import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../../server/common/random.ts";
import { type Case, expectSameAsUncut, uncut } from "./cut-runs.ts";
import { fakePlan } from "./fake-stages.ts";
import { lastingFiles } from "./lasting-files.ts";
import { scratchFolder } from "./scratch.ts";

const PROGRAM = fileURLToPath(new URL("fake-run.ts", import.meta.url));

describe("kill -9", () => {
  const STEPS = 6;
  const CASE: Case = { plan: () => fakePlan({ steps: STEPS }), saveEvery: 2 };
  let reference: Awaited<ReturnType<typeof uncut>>;
  let root: string;
  const random = Random.fromSeed(2024);

  beforeAll(async () => {
    reference = await uncut(CASE);
    root = await scratchFolder();
    // Another process comes to the same bytes, and leaves its compiled code for all that are to be killed.
    const folder = join(root, "another");
    expect(await once(start(folder, {}), "exit")).toEqual([0, null]);
    expect(await lastingFiles(folder)).toEqual(reference.files);
  });

  function start(folder: string, options: object): ChildProcess {
    const args = [PROGRAM, folder, JSON.stringify({ steps: STEPS, ...options })];
    const env = { ...process.env, NODE_COMPILE_CACHE: join(root, "compile-cache") };
    return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], env });
  }

  async function killedAtCall(folder: string): Promise<void> {
    const killAt = 1 + random.integer(reference.calls.length - 1);
    const child = start(folder, { killAt, half: random.integer(2) === 1 });
    expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
  }

  async function killedAfterDelay(folder: string): Promise<void> {
    const delayMs = random.uniform() * 150;
    const child = start(folder, {});
    // It may be done before it is killed.
    const exit = once(child, "exit");
    if (child.stdout) await once(child.stdout, "data");
    await delay(delayMs);
    child.kill("SIGKILL");
    await exit;
  }

  const KILLS = Array.from({ length: 50 }, (_, i) => i);

  test("at 40 calls that change the disk and 10 random times: each resume ends as the uncut run", async () => {
    const work = async (i: number) => {
      const folder = join(root, `run-${i}`);
      await (i % 5 === 4 ? killedAfterDelay(folder) : killedAtCall(folder));
      await expectSameAsUncut(folder, CASE, reference.files);
      await rm(folder, { recursive: true });
    };
    const queue = [...KILLS];
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
    };
    await Promise.all([worker(), worker()]);
  }, 180_000);

  test("again and again in one run", async () => {
    const folder = join(root, "often");
    for (let kills = 0; kills < 6; kills++) {
      const child = start(folder, { killAt: 30 + random.integer(60), half: kills % 2 === 1 });
      await once(child, "exit");
    }
    await expectSameAsUncut(folder, CASE, reference.files);
  });
});
