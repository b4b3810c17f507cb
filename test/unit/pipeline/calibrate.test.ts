/** `lfp calibrate` on the starter, as small as it goes. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { packageVersion } from "../../../server/common/package-root.ts";
import { readCalibration } from "../../../server/pipeline/artifacts/calibration-file.ts";
import { chooseDevice } from "../../../server/pipeline/devices.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { openExperimentRun } from "../../../server/pipeline/experiment-run.ts";
import { planCalibration } from "../../../server/pipeline/plan-calibration.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { Calibration } from "../../../server/protocol/calibration.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { prepareRun, readRecord, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { jsonOf, runLfp, spawnLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { PATIENT } from "../runs/scratch.ts";

const tiny = {
  preset: "quick",
  name: "tiny",
  data: { limit: 400, heldOut: 32 },
  tuning: { steps: 2, batchSize: 16, miniBatchSize: 8, epochs: 1 },
  sampling: { rows: 16, scoredRows: 8 },
  divergence: { layers: 1 },
  sae: { multiples: [1], maxTokens: 4096, batchTokens: 1024, bufferTokens: 4096, contextLength: 64 },
  learned: { texts: 80, tokens: 48, minPlaces: 3 },
  triples: { limit: 60 },
  probe: { resamples: 50 },
};
const small = ["--words-per-set", "4", "--met", "0"];
const few = ["--sets", "1", "--nulls", "1", ...small];

const stateFolder = useStateFolder("calibrate");
let folder: string;
let experiment: string;
beforeAll(async () => {
  folder = stateFolder();
  experiment = await write("tiny", tiny);
});

async function write(name: string, contents: object): Promise<string> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(contents));
  return path;
}

/** Runs the command as a process of its own, as which it starts its parts too. */
const lfp = (args: readonly string[]) => spawnLfp(folder, ["calibrate", ...args]);
const calibrationIn = async (run: string): Promise<Calibration> =>
  Calibration.parse(JSON.parse(await readFile(join(run, "calibration.json"), "utf8")));

/** Starts it as a process of its own, and kills that and the run of a tuning as soon as this works on a stage. */
async function killedAt(run: string, stage: string, args: readonly string[]): Promise<void> {
  const program = fileURLToPath(new URL("../../../server/cli.ts", import.meta.url));
  const child = spawn(process.execPath, [program, "calibrate", ...args], { stdio: "ignore" });
  const end = once(child, "exit");
  await expect.poll(() => hasBegun(run, stage), { ...PATIENT, interval: 10 }).toBe(true);
  const { process: worker } = await runStatus(run);
  child.kill("SIGKILL");
  // On a busy machine the run may be over by now.
  if (worker !== undefined) spawnSync("kill", ["-KILL", String(worker.pid)]);
  const [, signal] = await end;
  expect(signal).toBe("SIGKILL");
  await expect.poll(async () => (await runStatus(run)).work, PATIENT).toBe("gone");
}

/** Whether a stage of a run was started, which its state tells only as long as the stage takes. */
async function hasBegun(run: string, stage: string): Promise<boolean> {
  const lines = (await readFile(runPaths(run).events, "utf8").catch(() => "")).split("\n");
  return lines.some((line) => line.includes(`"kind":"stage-started","stage":"${stage}"`));
}

/** What a calibration leaves in its folder, besides the runs of its parts. */
async function lastingOf(calibration: string): Promise<Map<string, string>> {
  const parts = /^((set|null)\d|base|sweep\.lock)\/|^members\.json$/;
  return new Map([...(await lastingFiles(calibration))].filter(([path]) => !parts.test(path)));
}

/** What it leaves that one process computes as one run. */
async function lastingOfOneRun(path: string): Promise<Map<string, string>> {
  const at = join(folder, "one", "tiny-calibration");
  const { experiment: read, folder: run } = await openExperimentRun(path, { out: at });
  const options = { sets: 1, nulls: 1, wordsPerSet: 4, factor: -1, met: 0, run: "tiny-calibration" };
  const { stages } = await planCalibration(read, options);
  const { deviceClass, open } = await chooseDevice({ device: "cpu" });
  const versions = { "lfp-lens": packageVersion() };
  const outcome = await runPipeline(stages, run, { seed: read.seed, deviceClass, openDevice: open, versions });
  expect(outcome).toEqual({ kind: "done" });
  return await lastingOf(run);
}

describe("lfp calibrate", { timeout: 240_000 }, () => {
  it("plants, tunes, reads and reports; its calibration goes into the experiment's run; a killed one ends with the same bytes", async () => {
    const runs = join(folder, "whole");
    const own = await prepareRun(runs, "tiny", parseExperiment({ ...tiny, seed: 9 }));
    await writeFile(join(own, "run.json"), "{}");
    const whole = join(runs, "tiny-calibration");
    const ran = await lfp([experiment, ...few, "--out", whole, "--json"]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(jsonOf(ran)).toMatchObject({
      name: "calibrate",
      check: "ok",
      readings: {
        logRatio: {
          auroc: expect.any(Number),
          low: expect.any(Number),
          high: expect.any(Number),
          signs: expect.any(Number),
          found: expect.any(Number),
          falsePositives: null,
        },
        probeByTriple: {},
        probeByWord: {},
        tunedMinusBase: {},
      },
      sets: 1,
      seeds: 2,
    });
    const calibration = await calibrationIn(whole);
    expect(calibration).toMatchObject({ sets: 1, nulls: 1, seeds: [1, 2] });
    expect(calibration.readings.logRatio?.words.found.of).toBe(4);
    expect(await readCalibration(own, parseExperiment(tiny))).toEqual(calibration);
    expect(await readCalibration(own, parseExperiment({ ...tiny, probe: { alpha: 3 } }))).toBeUndefined();
    const { stages = [] } = (await readRecord(whole)) ?? {};
    expect(stages.find(({ id }) => id === "calibrate")?.key?.slice(0, 16)).toBe(calibration.key);
    const report = reportSchema.parse(JSON.parse(await readFile(join(whole, "report.json"), "utf8")));
    const tables = report.sections.flatMap((section) => section.tables);
    expect(tables.map(({ id }) => id)).toEqual(["calibration", "calibration-power", "calibration-words"]);
    expect(tables[0]?.source.key).toBe(calibration.key);
    for (const { rows, columns } of tables) for (const row of rows) expect(row).toHaveLength(columns.length);
    expect(tables[2]?.rows).toHaveLength(4);

    const cut = join(folder, "cut", "tiny-calibration");
    await killedAt(join(cut, "set1"), "tune-set1", [experiment, ...few, "--out", cut]);
    await killedAt(join(cut, "set1"), "learned-set1", [experiment, ...few, "--out", cut]);
    const resumed = await lfp([experiment, ...few, "--out", cut, "--json"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(await lastingOf(cut)).toEqual(await lastingOf(whole));
    expect(await lastingOf(whole)).toEqual(await lastingOfOneRun(experiment));

    const more = await lfp([experiment, "--sets", "1", "--nulls", "2", ...small, "--out", whole, "--json"]);
    expect(jsonOf(more)).toMatchObject({ readings: { logRatio: { falsePositives: expect.any(Number) } }, seeds: 3 });
    const computed = async (run: string) =>
      (await readRecord(run))?.stages.filter(({ status }) => status === "done").map(({ id }) => id);
    expect(await computed(join(whole, "null2"))).toEqual([
      "plant-null2",
      "tune-null2",
      "learned-null2",
      "dictionaries-null2",
      "collect-null2",
      "log-ratio-null2",
      "readings-null2",
    ]);
    expect(await computed(whole)).toEqual(["calibrate"]);
    // Only what was missing was started.
    expect(more.stderr).toContain(`${whole}: computes null2;`);
  });

  it("made by one process, as those of earlier versions, is found again and starts no part", async () => {
    await lastingOfOneRun(experiment);
    const out = join(folder, "one", "tiny-calibration");
    const again = await lfp([experiment, ...few, "--out", out, "--json"]);
    expect(again.code, again.stderr).toBe(0);
    expect((await readRecord(out))?.stages.map(({ status }) => status)).not.toContain("done");
    expect(await readdir(out)).not.toContain("set1");
  });

  it("finds nothing where tuning took no step", async () => {
    const out = join(folder, "still", "tiny-calibration");
    const ran = await lfp([experiment, ...few, "--steps", "0", "--out", out, "--json"]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(jsonOf(ran)).toMatchObject({
      readings: { logRatio: { auroc: 0.5, low: 0.5, high: 0.5, signs: 0 } },
      best: null,
    });
    expect((await readRecord(out))?.stages.map(({ id }) => id)).not.toContain("tune-set1");
    expect(await readFile(join(out, "report.md"), "utf8")).toContain("The tunings changed nothing");
  });

  it("without planted words has an interval that holds 0.5", async () => {
    const out = join(folder, "none", "tiny-calibration");
    const ran = await lfp([
      experiment,
      "--sets",
      "0",
      "--nulls",
      "2",
      "--words-per-set",
      "5",
      "--met",
      "0",
      "--out",
      out,
      "--json",
    ]);
    expect(ran.code, ran.stderr).toBe(0);
    const { readings, best, sets } = await calibrationIn(out);
    expect([sets, best]).toEqual([0, null]);
    expect(readings.logRatio?.words.low).toBeLessThanOrEqual(0.5);
    expect(readings.logRatio?.words.high).toBeGreaterThanOrEqual(0.5);
    expect(readings.logRatio?.words).toMatchObject({ signs: { of: 0 }, found: { of: 0 } });
    expect(await readFile(join(out, "report.md"), "utf8")).toContain("Nothing was planted");
  });

  it("refuses what cannot be calibrated, with the reason", async () => {
    const into = await prepareRun(
      join(folder, "runs"),
      "other",
      parseExperiment({ ...tiny, tuning: { ...tiny.tuning, steps: 3 } }),
    );
    const ofPair = await write("pair", {
      ...tiny,
      name: "pair",
      tuning: { kind: "given", model: "starter" },
      model: "./elsewhere",
    });
    const edited = await write("edited", { ...tiny, name: "edited", reward: { edits: [{ word: "bad", flip: true }] } });
    const out = ["--out", join(folder, "refused", "tiny-calibration")];
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [[experiment, "--only", "set9", ...few, ...out], 2, /no part "set9"; there are set1, null1, base/],
      [[experiment, "--only", "set1", "--on", "slurm", ...out], 2, /--only computes one part here/],
      [["fast"], 4, /fast cannot be read.*or a preset: quick/],
      [
        [experiment, "--words-per-set", "500", "--met", "0", ...out],
        3,
        /rated words have 3 places or more.*500 are to be planted/,
      ],
      [
        [experiment, "--met", "20", ...out],
        3,
        /^set1: failed.* [0-9] rated words have [0-9]{2,} places or more.*--met/m,
      ],
      [[experiment, "--sets", "0", "--nulls", "0", ...out], 2, /both 0/],
      [[experiment, "--seeds", "1,2", ...out], 2, /expected 7 different seeds/],
      [[experiment, ...few, "--seeds", "1,1", ...out], 2, /expected 2 different seeds/],
      [[experiment, "--steps", "many", ...out], 2, /--steps is "many"/],
      [[experiment, "--factor", "2", ...out], 2, /--factor is "2"; expected a number of at most 1/],
      [[experiment, "--into", into, ...out], 2, /is a run of other settings/],
      [[ofPair, ...out], 2, /names a model that is tuned already/],
      [[edited, ...out], 2, /plants words itself/],
    ];
    for (const [args, code, message] of cases) {
      // What fails only in a part is code 3.
      const ran = await (code === 3 ? lfp(args) : runLfp(["calibrate", ...args], { env: process.env }));
      expect(ran.stderr).toMatch(message);
      expect(ran.code, ran.stderr).toBe(code);
    }
  });
});
