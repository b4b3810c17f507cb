/** The folders of a calibration and of seeds, as the server shows them to an editor, and goes on with them. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { sweepLock } from "../../../server/pipeline/sweep/manifest.ts";
import { recordMembers } from "../../../server/pipeline/sweep/members.ts";
import { ListRuns, ResumeRun, RunsChanged } from "../../../server/protocol/runs.ts";
import { prepareRun } from "../../../server/runs/run-folder.ts";
import { Lock } from "../../../server/runs/run-lock.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { PATIENT, scratchFolder } from "../runs/scratch.ts";

useStateFolder("calibrations");
const clients: LspClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

/** A client, and the folder of a calibration that was begun; whatever goes on with it fails at once, for want of a model. */
async function open() {
  const runsRoot = join(await scratchFolder(), "runs");
  const experiment = { preset: "quick", model: "./nowhere" };
  const folder = await prepareRun(runsRoot, "demo-calibration", experiment);
  const members = [{ folder: join(folder, "set1") }, { folder: join(folder, "base") }];
  await recordMembers(folder, members, {
    calibration: { sets: 1, nulls: 0, wordsPerSet: 4, factor: -1, met: 0 },
  });
  const client = await LspClient.start({ options: { runsRoots: [runsRoot], trusted: true } });
  clients.push(client);
  return { runsRoot, folder, client };
}

const stateIn = async (client: LspClient) => (await client.ask(ListRuns, {})).runs[0]?.state;

test("a calibration waits for its runs while a command makes them, and is interrupted once that has ended without them", async () => {
  const { folder, client } = await open();
  const interrupted = { kind: "interrupted", why: expect.stringContaining("ended before they did") };
  expect(await stateIn(client)).toEqual(interrupted);
  const lock = await Lock.acquire(sweepLock(folder), "calibration", "calibration");
  const waiting = { kind: "waiting", for: "its 2 runs" };
  await client.heard(RunsChanged, ({ changed }) => changed[0]?.state.kind === "waiting");
  expect(await stateIn(client)).toEqual(waiting);
  await lock.release();
  await client.heard(RunsChanged, ({ changed }) => changed[0]?.state.kind === "interrupted");
});

test("Resume Run goes on with the calibration, not with its experiment", async () => {
  const { folder, client } = await open();
  expect(await client.ask(ResumeRun, { folder })).toEqual({ folder });
  const { job } = await runStatus(folder);
  expect(job?.argv).toEqual(expect.arrayContaining(["calibrate", "--out", folder, "--sets=1", "--words-per-set=4"]));
  await expect.poll(async () => (await runStatus(folder)).work, PATIENT).toBe("gone");
});

test("Resume Run on the folder of a report over seeds names the command that goes on with it", async () => {
  const { runsRoot, client } = await open();
  const seeds = join(runsRoot, "demo-seeds");
  await mkdir(seeds);
  await recordMembers(seeds, [{ folder: join(runsRoot, "demo-seed1") }]);
  await client.heard(RunsChanged, ({ changed }) => changed.some(({ folder }) => folder === seeds));
  expect(await client.failure(ResumeRun, { folder: seeds })).toMatchObject({
    code: "usage",
    message: expect.stringContaining("--seeds LIST"),
  });
});
