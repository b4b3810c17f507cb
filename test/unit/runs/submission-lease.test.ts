/** Waits for somebody who was submitting a run, on a machine that cannot be seen from here. */
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { thisProcess } from "../../../server/runs/process-identity.ts";
import { prepareRun } from "../../../server/runs/run-folder.ts";
import { leaseOf, submissionLease } from "../../../server/runs/submission-lease.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { scratchFolder } from "./scratch.ts";

const SILENT_MS = 300_000;

/** A run that a process of another machine was submitting, which counts as dead so soon. */
async function leftBehind(deadInMs: number): Promise<{ readonly folder: string; readonly deadAt: string }> {
  const folder = await prepareRun(await scratchFolder(), "demo", {});
  const held = join(leaseOf(folder), "1");
  await mkdir(held, { recursive: true });
  const process = { ...(await thisProcess()), host: "lab-3", pid: 4711 };
  await writeFile(
    join(held, "holder.json"),
    JSON.stringify({ process, purpose: "submitting run demo", since: "2026-11-30T10:00:00.000Z" }),
  );
  const beat = new Date(Math.floor(Date.now() / 1000) * 1000 + deadInMs - SILENT_MS);
  await writeFile(join(held, "heartbeat"), "beat");
  await utimes(join(held, "heartbeat"), beat, beat);
  return { folder, deadAt: new Date(beat.getTime() + SILENT_MS).toISOString() };
}

test("lfp cancel says for whom it waits, and from when on that one counts as dead; then it goes on", async () => {
  const { folder, deadAt } = await leftBehind(4000);
  const { code, stdout, stderr } = await runLfp(["cancel", folder]);
  expect(stderr).toBe(
    "This waits, for 90 s at most, for process 4711 on lab-3 (submitting run demo, since 2026-11-30T10:00:00.000Z). " +
      `Whether that process is alive cannot be seen from here: it counts as dead at ${deadAt}, unless lab-3 gives another sign of it.\n`,
  );
  expect(stdout).toContain("nothing works on it");
  expect(code).toBe(0);
});

test("whoever gives up waiting is told the same", async () => {
  const { folder, deadAt } = await leftBehind(60_000);
  const told: string[] = [];
  const asked = submissionLease(folder, { limitMs: 50, onWait: (what) => told.push(what) });
  await expect(asked).rejects.toThrow(`counts as dead at ${deadAt}`);
  // Too short a wait to speak of.
  expect(told).toEqual([]);
});
