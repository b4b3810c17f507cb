import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RunComparison } from "../../server/protocol/comparison.ts";
import { jsonOf, runLfp } from "../support/run-lfp.ts";
import { runRecord } from "../support/run-record.ts";

const starterRun = fileURLToPath(new URL("../../assets/starter-run", import.meta.url));

let runs: string;
/** A folder of runs: two of one experiment with different seeds, and a report over runs, which has no experiment. */
beforeAll(async () => {
  runs = await mkdtemp(join(tmpdir(), "lfp-compare-command-"));
  for (const seed of [1, 2]) {
    const folder = join(runs, `seed${seed}`);
    await mkdir(folder);
    for (const part of ["probe", "learned"]) await cp(join(starterRun, part), join(folder, part), { recursive: true });
    await cp(join(starterRun, "run.json"), join(folder, "run.json"));
    await writeFile(join(folder, "experiment.json"), JSON.stringify({ preset: "quick", seed }));
  }
  await mkdir(join(runs, "quick-seeds"));
  await writeFile(join(runs, "quick-seeds/run.json"), JSON.stringify(runRecord()));
});
afterAll(() => rm(runs, { recursive: true }));

it("a folder of runs is compared run by run, without reports over runs", async () => {
  const ran = await runLfp(["compare", runs, "--json"]);
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stderr).toContain("1 folder without an experiment left out");
  const { runs: found, seedGroups, settings } = RunComparison.parse(jsonOf(ran));
  expect(found.map(({ name }) => name)).toEqual(["seed1", "seed2"]);
  expect(seedGroups).toEqual([[0, 1]]);
  expect(settings).toEqual([{ name: "seed", values: ["1", "2"] }]);
  const text = (await runLfp(["compare", join(runs, "seed1"), join(runs, "seed2")])).stdout;
  expect(text).toMatch(/^Runs\n {2}A {2}seed1 {2}seed 1, done\n/);
  expect(text).toMatch(/learned lexicon, tau-b with the rating +0\.595 \[0\.520, 0\.665\] +0\.595/);
});

it("files are of the format that an option or their ending names", async () => {
  const out = async (file: string, ...more: string[]): Promise<string> => {
    const ran = await runLfp(["compare", runs, "--out", join(runs, file), ...more]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain(`2 runs are compared in ${join(runs, file)}`);
    return await readFile(join(runs, file), "utf8");
  };
  expect(RunComparison.parse(JSON.parse(await out("a.json"))).runs).toHaveLength(2);
  expect(await out("a.md")).toMatch(/^# Runs compared\n/);
  const table = await out("a.csv");
  const [head = []]: string[][] = parse(table);
  expect(head.slice(0, 6)).toEqual(["kind", "id", "name", "unit", "better", "seed1"]);
  expect(await out("a.txt", "--csv")).toBe(table);
  expect(await out("a.txt")).toMatch(/^Runs\n/);
  expect(`${(await runLfp(["compare", runs, "--csv"])).stdout}`).toBe(table);
});

it.each([
  [[], 2, "RUN is missing"],
  [["seed1"], 2, "got 1 run to compare; expected at least two"],
  [["seed1", "seed1"], 2, "got 1 run to compare"],
  [["seed1", "nowhere"], 4, "holds no run"],
  [["seed1", "seed2", "--csv", "--markdown"], 2, "--csv and --markdown exclude each other"],
])("%j is refused", async (args, code, message) => {
  const given = args.map((arg) => (arg.startsWith("--") ? arg : join(runs, arg)));
  const ran = await runLfp(["compare", ...given]);
  expect(ran.code).toBe(code);
  expect(ran.stderr).toContain(message);
});
