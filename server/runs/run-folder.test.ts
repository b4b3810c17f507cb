import { mkdir, readdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runRecord } from "../../test/support/run-record.ts";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { disk } from "./files.ts";
import {
  listRuns,
  prepareRun,
  RESERVED_NAMES,
  readRecord,
  runFolder,
  runPaths,
  sweepTemporaries,
  writeRecord,
} from "./run-folder.ts";
import { Lock } from "./run-lock.ts";

describe("names of runs", () => {
  test.each(["a", "imdb-quick", "0", "-", "x".repeat(64)])("%s can be one", async (name) => {
    const root = await scratchFolder();
    expect(await runFolder(root, name)).toBe(join(root, name));
  });

  test.each([
    ...["", ".", "..", "../x", "a/b", "a\\b", "/etc", "C:", "A", "ü", "a b", "a.b", "a\0b", "a\n", "x".repeat(65)],
    ...["con", "nul", "aux", "prn", "com1", "lpt9", "%2e%2e", "$(id)", "--", "~"].filter((name) => name !== "--"),
  ])("%j cannot", async (name) => {
    const root = await scratchFolder();
    await expect(runFolder(root, name)).rejects.toMatchObject({ code: "usage", name: "RunNameError" });
    await expect(prepareRun(root, name, {})).rejects.toMatchObject({ code: "usage" });
  });

  test("a link out of the folder of runs is refused, one inside is not; the folder of runs itself may be one", async () => {
    const [root, outside, elsewhere] = [await scratchFolder(), await scratchFolder(), await scratchFolder()];
    await symlink(outside, join(root, "away"));
    await symlink(root, join(root, "self"));
    await expect(runFolder(root, "away")).rejects.toMatchObject({ code: "usage", name: "RunOutsideError" });
    await expect(runFolder(root, "self")).rejects.toMatchObject({ code: "usage" });
    await mkdir(join(root, "real"));
    await symlink(join(root, "real"), join(root, "alias"));
    expect(await runFolder(root, "alias")).toBe(join(root, "alias"));
    await symlink(root, join(elsewhere, "runs"));
    expect(await runFolder(join(elsewhere, "runs"), "real")).toBe(join(elsewhere, "runs", "real"));
  });
});

test("a prepared run holds its experiment and is listed", async () => {
  const root = join(await scratchFolder(), "not", "yet", "there");
  expect(await listRuns(root)).toEqual([]);
  const folder = await prepareRun(root, "b", { preset: "quick" });
  await prepareRun(root, "a", {});
  await mkdir(join(root, "Not A Run"));
  await writeFile(join(root, "file"), "");
  expect(await listRuns(root)).toEqual(["a", "b"]);
  expect(JSON.parse(await readFile(runPaths(folder).experiment, "utf8"))).toEqual({ preset: "quick" });
  const lock = await Lock.acquire(runPaths(folder).lock, "run b", "run b");
  await expect(prepareRun(root, "b", { preset: "paper" })).rejects.toMatchObject({ code: "locked" });
  await lock.release();
  await prepareRun(root, "b", { preset: "paper" });
  expect(JSON.parse(await readFile(runPaths(folder).experiment, "utf8"))).toEqual({ preset: "paper" });
});

test("the names that the machinery keeps are those at the top of the folder", () => {
  expect(RESERVED_NAMES).toContain("run.json");
  expect(RESERVED_NAMES).toContain("stages");
  for (const name of RESERVED_NAMES) expect(name === "" || !name.includes("/")).toBe(true);
});

test("the record comes back as it was written; one that cannot be read says what to do", async () => {
  const folder = await scratchFolder();
  expect(await readRecord(folder)).toBeUndefined();
  const record = runRecord({
    state: { kind: "failed", code: "resource", message: "full", stage: "tune", resumable: true },
    versions: { node: "v24" },
    stages: [{ id: "tune", stage: "tune", codeVersion: 1, status: "running", key: "k" }],
  });
  await writeRecord(folder, record);
  expect(await readRecord(folder)).toEqual(record);
  await writeFile(runPaths(folder).record, JSON.stringify({ ...record, format: 2 }));
  await expect(readRecord(folder)).rejects.toThrow("newer version");
  await writeFile(runPaths(folder).record, '{"format":');
  await expect(readRecord(folder)).rejects.toMatchObject({ code: "input" });
});

test("what killed writers left is removed; a file that a submitter may be writing stays", async () => {
  const folder = await scratchFolder();
  const [record, writing, left] = [".run.json.7-0.tmp", ".job.json.8-0.tmp", ".job.json.9-0.tmp"] as const;
  for (const name of [record, writing, left, "job.json"]) await writeFile(join(folder, name), "{}");
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(join(folder, left), longAgo, longAgo);
  await utimes(join(folder, "job.json"), longAgo, longAgo);
  await sweepTemporaries(folder, disk);
  expect((await readdir(folder)).toSorted()).toEqual([writing, "job.json"]);
});
