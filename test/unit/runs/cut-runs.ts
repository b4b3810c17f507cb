import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { RunEvent } from "../../../server/protocol/run-events.ts";
import { followEvents } from "../../../server/runs/follow.ts";
import { type RunOutcome, runPipeline } from "../../../server/runs/run.ts";
import type { PlannedStage } from "../../../server/runs/stage.ts";
import { everyNth } from "./fake-stages.ts";
import { type Faults, FaultyFiles } from "./faulty-files.ts";
import { lastingFiles } from "./lasting-files.ts";
import { scratchFolder } from "./scratch.ts";

const PASS: Faults = {
  at: () => "pass",
  fail: (call) => {
    throw new Error(call);
  },
};

/** What is run, and how often it saves. */
export interface Case {
  readonly plan: () => PlannedStage[];
  readonly saveEvery: number;
}

/** The uncut run: what it leaves, and the calls that change the disk. */
export async function uncut(what: Case): Promise<{ files: Map<string, string>; calls: readonly string[] }> {
  const folder = join(await scratchFolder(), "uncut");
  const faulty = new FaultyFiles(PASS);
  expect((await run(folder, what, faulty)).outcome).toEqual({ kind: "done" });
  return { files: await lastingFiles(folder), calls: faulty.calls };
}

export async function run(
  folder: string,
  { plan, saveEvery }: Case,
  faulty = new FaultyFiles(PASS),
): Promise<{ outcome: RunOutcome; events: RunEvent[] }> {
  const events: RunEvent[] = [];
  const outcome = await runPipeline(plan(), folder, {
    seed: 7,
    deviceClass: "cpu",
    checkpointDue: everyNth(saveEvery),
    queued: false,
    files: faulty.files,
    onEvent: (event) => events.push(event),
  });
  return { outcome, events };
}

/** The newest checkpoint in place of the stage that is not finished, or `undefined`. */
export async function newestCheckpoint(folder: string): Promise<number | undefined> {
  const stages = await namesIn(join(folder, "stages"));
  const open = stages.filter((name) => name.endsWith(".work") && !stages.includes(name.replace(".work", "")));
  const generations: number[] = [];
  for (const name of open) {
    const names = await namesIn(join(folder, "stages", name, "checkpoints"));
    generations.push(...names.filter((entry) => /^\d+$/.test(entry)).map(Number));
  }
  return generations.length === 0 ? undefined : Math.max(...generations);
}

/** Runs to the end what was cut, and compares everything with the uncut run. */
export async function expectSameAsUncut(folder: string, what: Case, expected: Map<string, string>): Promise<void> {
  const checkpoint = await newestCheckpoint(folder);
  const { outcome, events } = await run(folder, what);
  expect(outcome).toEqual({ kind: "done" });
  expect(await lastingFiles(folder)).toEqual(expected);
  const resumed = events.find((event) => event.kind === "stage-resumed");
  expect(resumed?.generation).toBe(checkpoint);
  expect(events.filter((event) => event.kind === "message")).toEqual([]);
  await expectGapFree(folder);
}

async function expectGapFree(folder: string): Promise<void> {
  let seq = 0;
  for await (const event of followEvents(folder)) expect(event.seq).toBe(++seq);
  expect(seq).toBeGreaterThan(0);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}
