import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { Random } from "../../../server/common/random.ts";
import type { RunEvent } from "../../../server/protocol/run-events.ts";
import { followEvents } from "../../../server/runs/follow.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { listRuns } from "../../../server/runs/run-folder.ts";
import { Lock } from "../../../server/runs/run-lock.ts";
import { sharedStages, sharedStagesOf } from "../../../server/runs/shared-stages.ts";
import { everyNth, fakePlan } from "./fake-stages.ts";
import { lastingFiles } from "./lasting-files.ts";
import { PATIENT, scratchFolder } from "./scratch.ts";

const PROGRAM = fileURLToPath(new URL("fake-run.ts", import.meta.url));
const STEPS = 6;

/** What a run leaves that shares nothing. */
let expected: Map<string, string>;
beforeAll(async () => {
  const root = await scratchFolder();
  expect((await run(root, "alone", undefined)).outcome).toEqual({ kind: "done" });
  expected = await lastingFiles(join(root, "alone"));
});

async function run(root: string, name: string, shared: string | undefined, signal = new AbortController().signal) {
  const events: RunEvent[] = [];
  const outcome = await runPipeline(fakePlan({ steps: STEPS, pauseMs: 1 }), join(root, name), {
    seed: 7,
    deviceClass: "cpu",
    checkpointDue: everyNth(2),
    queued: false,
    shared,
    signal,
    onEvent: (event) => events.push(event),
  });
  return { outcome, events, counts: countsOf(events) };
}

function countsOf(events: readonly RunEvent[]): Record<string, number> {
  const kinds = ["stage-finished", "stage-reused", "stage-resumed"] as const;
  return Object.fromEntries(kinds.map((kind) => [kind, events.filter((event) => event.kind === kind).length]));
}

async function rootWithShared(): Promise<{ root: string; shared: string }> {
  const root = await scratchFolder();
  await mkdir(sharedStages(root));
  return { root, shared: sharedStages(root) };
}

test("runs at the same time compute a stage once, and each has the files of a run that shares nothing", async () => {
  const { root, shared } = await rootWithShared();
  const names = ["a", "b", "c"];
  const runs = await Promise.all(names.map((name) => run(root, name, shared)));
  for (const { outcome } of runs) expect(outcome).toEqual({ kind: "done" });
  const sum = (kind: string) => runs.reduce((count, { counts }) => count + (counts[kind] ?? 0), 0);
  expect(sum("stage-finished")).toBe(4);
  expect(sum("stage-reused")).toBe(8);
  for (const name of names) expect(await lastingFiles(join(root, name))).toEqual(expected);
  expect(await listRuns(root)).toEqual(names);
  const [output = ""] = (await readdir(shared)).filter((name) => /^fake-report-[0-9a-f]+$/.test(name));
  expect((await stat(join(shared, output, "report.json"))).nlink).toBeGreaterThan(1);
});

test("a run shares stages where a folder for them stands beside it, and only there", async () => {
  const { root, shared } = await rootWithShared();
  expect(await sharedStagesOf(join(root, "a"))).toBe(shared);
  expect(await sharedStagesOf(join(await scratchFolder(), "a"))).toBeUndefined();
});

test("a run that waits for another's stage says for whom, and can be stopped", async () => {
  const { root, shared } = await rootWithShared();
  await run(root, "first", shared);
  const [name = ""] = (await readdir(shared)).filter((entry) => /^fake-initialise-[0-9a-f]+$/.test(entry));
  const other = sharedStages(await scratchFolder());
  const lock = await Lock.acquire(join(other, `${name}.lock`), "stage base", "stage base of run other");
  const stop = new AbortController();
  const waiting = run(root, "second", other, stop.signal);
  const states = async () => {
    const found: string[] = [];
    for await (const event of followEvents(join(root, "second"), { signal: AbortSignal.timeout(50) }))
      if (event.kind === "state" && event.state.kind === "waiting") found.push(event.state.for);
    return found.join("\n");
  };
  await expect.poll(() => states().catch(() => ""), PATIENT).toContain("stage base of run other");
  stop.abort();
  expect((await waiting).outcome).toMatchObject({ kind: "cancelled" });
  await lock.release();
  expect((await run(root, "second", other)).outcome).toEqual({ kind: "done" });
  expect(await lastingFiles(join(root, "second"))).toEqual(expected);
});

test("a damaged shared output is computed again", async () => {
  const { root, shared } = await rootWithShared();
  await run(root, "first", shared);
  const [name = ""] = (await readdir(shared)).filter((entry) => /^fake-report-[0-9a-f]+$/.test(entry));
  await writeFile(join(shared, name, "manifest.json"), "{}");
  const second = await run(root, "second", shared);
  expect(second.counts).toMatchObject({ "stage-finished": 1, "stage-reused": 3 });
  expect(await lastingFiles(join(root, "second"))).toEqual(expected);
});

test("another run goes on from the checkpoint of one that was stopped", async () => {
  const { root, shared } = await rootWithShared();
  const stop = new AbortController();
  const first = await runPipeline(fakePlan({ steps: STEPS, pauseMs: 1 }), join(root, "first"), {
    seed: 7,
    deviceClass: "cpu",
    queued: false,
    shared,
    signal: stop.signal,
    onEvent: (event) => {
      if (event.kind === "progress") stop.abort();
    },
  });
  expect(first).toMatchObject({ kind: "cancelled" });
  const second = await run(root, "second", shared);
  expect(second.counts).toMatchObject({ "stage-resumed": 1 });
  expect(await lastingFiles(join(root, "second"))).toEqual(expected);
});

test("runs that are killed at random moments lose nothing and damage nothing", { timeout: 120_000 }, async () => {
  const { root, shared } = await rootWithShared();
  const random = Random.fromSeed(11);
  const start = (name: string, options: object): ChildProcess =>
    spawn(
      process.execPath,
      [PROGRAM, join(root, name), JSON.stringify({ steps: STEPS, pauseMs: 1, shared, ...options })],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
  for (let kills = 0; kills < 10; kills++) {
    const children = ["a", "b"].map((name) => start(name, { killAt: 20 + random.integer(120), half: kills % 2 === 1 }));
    const ends = children.map((child) => once(child, "exit"));
    if (kills % 3 === 2) {
      await delay(random.uniform() * 400);
      children[0]?.kill("SIGKILL");
    }
    await Promise.all(ends);
  }
  for (const name of ["a", "b"]) {
    expect((await run(root, name, shared)).outcome).toEqual({ kind: "done" });
    expect(await lastingFiles(join(root, name))).toEqual(expected);
  }
});
