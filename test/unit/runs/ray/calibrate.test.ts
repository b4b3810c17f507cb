/** `lfp calibrate --on ray`: followed, stopped and gone on with, to the results of one at home. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { type FakeRay, startFakeRay } from "../../../support/fake-ray.ts";
import { canStartRay, startRay, type TestRay } from "../../../support/ray.ts";
import { type Ran, spawnLfp } from "../../../support/run-lfp.ts";
import { useStateFolder } from "../../../support/state-folder.ts";
import { smallestExperiment } from "../../pipeline/tiny-experiment.ts";
import { lastingFiles } from "../lasting-files.ts";
import { PATIENT, scratchFolder } from "../scratch.ts";

useStateFolder("ray-calibrate");
const PARTS = ["set1", "null1", "base"];

let folder: string;
beforeEach(async () => {
  folder = join(await scratchFolder(), "work");
  await mkdir(folder);
  await writeFile(join(folder, "tiny.json"), JSON.stringify(smallestExperiment));
});

const few = ["--sets", "1", "--nulls", "1", "--words-per-set", "4", "--met", "0", "--steps", "0"];

function calibrate(where: string, ...more: readonly string[]): Promise<Ran> {
  return spawnLfp(folder, ["calibrate", "tiny.json", ...few, "--out", join(where, "tiny-calibration"), ...more]);
}

/** What a calibration leaves itself, without the runs of its parts. */
async function ownFiles(where: string): Promise<[string, string][]> {
  const files = [...(await lastingFiles(join(folder, where, "tiny-calibration")))];
  return files.filter(([path]) => /^(stages\/|[a-z-]+\.(json|jsonl|md)$)/.test(path));
}

/** A calibration is stopped as a whole, goes on from there, and leaves what one at home leaves. */
async function expectAsAtHome(): Promise<void> {
  const statusOf = (part: string) => runStatus(join(folder, "there", "tiny-calibration", part));
  const first = calibrate("there", "--on", "ray", "--at-most", "2");
  await expect.poll(async () => (await statusOf("set1")).state.kind, PATIENT).toBe("running");
  expect((await statusOf("set1")).job).toMatchObject({ executor: "ray" });
  const stopped = await spawnLfp(folder, ["cancel", join("there", "tiny-calibration")]);
  expect(stopped.code, stopped.stderr).toBe(0);
  expect((await first).code).toBe(75);
  for (const part of PARTS) expect((await statusOf(part)).work).toBe("gone");
  expect((await statusOf("set1")).state.kind).toBe("cancelled");

  const again = await calibrate("there", "--on", "ray", "--at-most", "2");
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toMatch(/^set1: /m);
  for (const part of PARTS)
    expect(await statusOf(part)).toMatchObject({ state: { kind: "done" }, job: { executor: "ray" } });

  const home = await calibrate("home");
  expect(home.code, home.stderr).toBe(0);
  expect(await ownFiles("there")).toEqual(await ownFiles("home"));
}

const title = "a calibration is stopped as a whole, goes on from there, and leaves what one at home leaves";

describe("on a fake of Ray", { timeout: 600_000 }, () => {
  let ray: FakeRay;
  beforeEach(async () => {
    ray = await startFakeRay(folder);
  });
  afterEach(() => ray.stop());
  test(title, expectAsAtHome);
});

describe.skipIf(!canStartRay)("on a Ray of one node", { timeout: 600_000 }, () => {
  let ray: TestRay;
  beforeAll(async () => {
    ray = await startRay();
  }, 180_000);
  afterAll(() => ray.stop(), 60_000);
  test(title, expectAsAtHome);
});
