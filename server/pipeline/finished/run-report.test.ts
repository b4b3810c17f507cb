import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { experimentDigest, saveCalibration } from "../artifacts/calibration-file.ts";
import { parseExperiment } from "../experiment/resolve.ts";
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

it("says in the head how long the stages worked, each counted once", async () => {
  await write("report.json", { ...report, about: [] });
  const stage = (id: string, workedMs: number) => ({ kind: "stage-finished", stage: id, workedMs });
  const events = [
    { kind: "state", state: { kind: "running", stage: "tune" } },
    stage("tune", 90_000),
    stage("probe", 1_000),
    { kind: "stage-reused", stage: "tune" },
    stage("probe", 61_000),
  ].map((event, at) => JSON.stringify({ seq: at + 1, time: "2026-11-30T02:52:42.723Z", ...event }));
  await writeFile(join(folder, "events.jsonl"), `${events.join("\n")}\n`);
  expect((await readRunReport(folder))?.report.about).toEqual([
    { name: "begun", value: "2026-11-30 02:52 UTC" },
    { name: "worked for", value: "2 min 31 s" },
  ]);
});

it("shows the calibration that speaks for the run, and no other", async () => {
  const experiment = parseExperiment({ preset: "quick" });
  const power = {
    auroc: 0.9,
    low: 0.8,
    high: 0.95,
    signs: { right: 8, of: 10 },
    threshold: 0.7,
    found: { count: 6, of: 10 },
    falsePositives: 0.04,
  };
  const calibration = {
    format: 1 as const,
    experiment: experimentDigest(experiment),
    sets: 1,
    nulls: 2,
    seeds: [1, 2, 3],
    words: 100,
    readings: { logRatio: { words: power, places: null } },
    best: "logRatio" as const,
  };
  await write("report.json", report);
  await saveCalibration(folder, calibration);
  expect((await readRunReport(folder))?.report.sections).toEqual([]);
  await write("experiment.json", { ...experiment, seed: 9, name: "other", report: { samples: 1, words: 2 } });
  const found = await readRunReport(folder);
  expect(found?.report.summary[1]).toBe(
    "In models tuned like this (lfp calibrate): The log-ratio finds planted words best: it flags 6 of 10 planted words, where 4 % of unplanted words are flagged, " +
      "and has the planted sign at 8 of 10. AUROC with 95 % interval, 0.5 being chance: log-ratio 0.9 (0.8 to 0.95).",
  );
  expect(found?.report.sections[0]?.tables[0]).toMatchObject({
    id: "calibration",
    rows: [["log-ratio", 0.9, 0.8, 0.95, "8 of 10", "6 of 10", 0.7, 4]],
  });
  await write("experiment.json", { ...experiment, tuning: { ...experiment.tuning, steps: 50 } });
  expect((await readRunReport(folder))?.report).toEqual(report);
  await write("experiment.json", experiment);
  await writeFile(join(folder, "calibration", "calibration.json"), "{");
  expect((await readRunReport(folder))?.report).toEqual(report);
});
