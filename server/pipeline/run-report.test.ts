import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readRunReport } from "./run-report.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-report-"));
});
afterEach(() => rm(folder, { recursive: true }));

const report = { format: 1, run: "demo", seed: 1, summary: ["Found."], sections: [] };
const write = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));

it("opens reports of earlier versions, which have no head", async () => {
  expect(await readRunReport(folder)).toBeUndefined();
  await write("report.json", report);
  expect((await readRunReport(folder))?.markdown).toContain("# Run demo\n\nSeed 1. Every table");
  expect((await readRunReport(folder))?.report).toEqual(report);
});

it("says in the head when the run was begun, which report.json cannot", async () => {
  const about = [{ name: "model", value: "a | b \u202e[x](y)" }];
  await write("report.json", { ...report, about });
  expect((await readRunReport(folder))?.report.about).toEqual(about);
  const event = { seq: 1, time: "2026-11-30T02:52:42.723Z", kind: "state", state: { kind: "done" } };
  await writeFile(join(folder, "events.jsonl"), `${JSON.stringify(event)}\n{"torn`);
  const found = await readRunReport(folder);
  expect(found?.report.about).toEqual([{ name: "begun", value: "2026-11-30 02:52 UTC" }, ...about]);
  expect(found?.markdown).toContain("| begun | 2026-11-30 02:52 UTC |\n| model | a \\| b \\\\u202e\\[x\\](y) |");
});
