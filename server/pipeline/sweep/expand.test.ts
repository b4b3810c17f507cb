import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { loadSweep, parseSweep } from "./expand.ts";
import { sweepJsonSchema } from "./json-schema.ts";
import { SweepError } from "./schema.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-sweep-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const base = { preset: "quick", name: "base" };
const parse = (sweep: object) => parseSweep(sweep, { name: "a.json", folder, stem: "a" });

async function issuesOf(sweep: object): Promise<string[]> {
  const error = await parse(sweep).catch((thrown: unknown) => thrown);
  if (!(error instanceof SweepError)) return expect.fail(`no SweepError, but ${JSON.stringify(error)}`);
  return error.issues.map(({ path, message }) => `${path}: ${message}`);
}

describe("a sweep's runs", () => {
  it("are every combination of the grid once with each seed, called by what differs", async () => {
    const { runs, name } = await parse({
      base,
      seeds: [4, 2],
      grid: { "probe.alpha": [1, 0.5], "tuning.steps": [3], "tuning.kl.coefficient": [6] },
    });
    expect(name).toBe("a");
    expect(runs.map(({ words }) => words)).toEqual([
      "seed4-alpha-1",
      "seed4-alpha-0-5",
      "seed2-alpha-1",
      "seed2-alpha-0-5",
    ]);
    expect(runs[1]?.settings).toEqual({ seed: 4, "probe.alpha": 0.5, "tuning.steps": 3, "tuning.kl.coefficient": 6 });
    expect(runs[1]?.experiment).toMatchObject({
      seed: 4,
      probe: { alpha: 0.5 },
      tuning: { steps: 3, kl: { coefficient: 6 } },
    });
    expect(new Set(runs.map(({ digest }) => digest)).size).toBe(4);
  });

  it("are the combinations of a list, whose fields may differ", async () => {
    const { runs } = await parse({ base, list: [{ "probe.alpha": 2 }, { "tuning.steps": 5, task: "sentiment" }] });
    expect(runs.map(({ words }) => words)).toEqual(["alpha-2", "steps-5-task-sentiment"]);
    expect(runs[0]?.experiment.seed).toBe(runs[1]?.experiment.seed);
  });

  it("are seeds counted from 1 where only their number is given", async () => {
    const { runs } = await parse({ base: "quick", seeds: 3 });
    expect(runs.map(({ words, experiment }) => [words, experiment.seed])).toEqual([
      ["seed1", 1],
      ["seed2", 2],
      ["seed3", 3],
    ]);
  });

  it("start from an experiment file, whose paths are relative to it", async () => {
    await writeFile(join(folder, "base.json"), JSON.stringify({ ...base, model: "./model" }));
    await writeFile(join(folder, "My Sweep.lfp-sweep.json"), JSON.stringify({ base: "base.json", seeds: 1 }));
    const { runs, name } = await loadSweep(join(folder, "My Sweep.lfp-sweep.json"));
    expect(name).toBe("my-sweep");
    expect(runs[0]?.experiment.model).toBe(join(folder, "model"));
  });

  it("replace a section whole where its kind changes, as an experiment file does", async () => {
    const { runs } = await parse({ base, list: [{ tuning: { kind: "given", model: "./tuned" } }, {}] });
    expect(runs[0]?.experiment.tuning).toEqual({ kind: "given", model: join(folder, "tuned") });
    expect(runs[0]?.words).toBe("tuning-given");
  });
});

describe("what is wrong with a sweep", () => {
  it.each<[string, object, string]>([
    ["nothing varies", { base }, ": varies nothing: give seeds, grid or list"],
    [
      "grid and list",
      { base, grid: { "probe.alpha": [1] }, list: [{}] },
      "list: stands beside grid: leave one of the two out",
    ],
    ["a seed twice", { base, seeds: [1, 1] }, "seeds: has a seed twice"],
    [
      "a seed in the grid",
      { base, grid: { seed: [1] } },
      "grid.seed: cannot be varied here: give the runs' seeds in seeds",
    ],
    [
      "a field inside another",
      { base, grid: { tuning: [{}], "tuning.steps": [1] } },
      "grid.tuning.steps: lies inside tuning, which is varied too",
    ],
    [
      "an empty step of a path",
      { base, grid: { "tuning..steps": [1] } },
      "grid.tuning..steps: is no field: expected names joined by dots, such as tuning.kl.target",
    ],
    ["no values", { base, grid: { "probe.alpha": [] } }, "grid.probe.alpha: got []; expected at least 1 item"],
    ["an unknown member", { base, seeds: 1, gird: {} }, "gird: unknown key; there are name, base, seeds, grid, list"],
    [
      "a value of another type",
      { base, grid: { "tuning.steps": [3, "x"] } },
      'grid.tuning.steps[1]: got "x"; expected a number',
    ],
    [
      "a value inside a section",
      { base, list: [{ tuning: { steps: -1 } }] },
      "list[0].tuning: steps: got -1; expected more than 0",
    ],
    ["the base", { base: { preset: "quick", sead: 1 }, seeds: 1 }, "base.sead: unknown key; "],
    [
      "a rule that a value breaks elsewhere",
      { base: { ...base, data: { heldOut: 64 } }, grid: { "data.limit": [60] } },
      "grid.data.limit[0]: with data.limit = 60: data.heldOut: leaves none of the 60 texts",
    ],
    [
      "two equal runs",
      { base, list: [{ "probe.alpha": 2 }, { "probe.alpha": 2.0 }] },
      "list[1].probe.alpha: makes the same run as probe.alpha = 2: leave one out",
    ],
    [
      "too many",
      { base, seeds: 100, grid: { "probe.alpha": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] } },
      ": makes 1100 runs of all combinations and seeds; expected 1000 at most",
    ],
  ])("%s is said with its place", async (_, sweep, expected) => {
    const issues = await issuesOf(sweep);
    expect(
      issues.some((issue) => issue.startsWith(expected)),
      issues.join("\n"),
    ).toBe(true);
  });

  it("is said of a base file by its name, and of one that is not there", async () => {
    await writeFile(join(folder, "bad.json"), JSON.stringify({ preset: "quick", sead: 1 }));
    expect((await issuesOf({ base: "bad.json", seeds: 1 }))[0]).toMatch(/^base: bad\.json: sead: unknown key/);
    expect((await issuesOf({ base: "none.json", seeds: 1 }))[0]).toMatch(/^base: .*none\.json cannot be read/);
    await writeFile(join(folder, "torn.json"), "{");
    expect((await issuesOf({ base: "torn.json", seeds: 1 }))[0]).toMatch(/^base: .*torn\.json: is not JSON/);
  });

  it("names a member that is given twice", async () => {
    await writeFile(join(folder, "twice.json"), '{"base": "quick", "seeds": 1, "seeds": 2}');
    await expect(loadSweep(join(folder, "twice.json"))).rejects.toThrow(/seeds: is given twice/);
  });
});

describe("the JSON Schema of sweeps", () => {
  const schema = z.fromJSONSchema(sweepJsonSchema());
  const accepts = (sweep: object): boolean => schema.safeParse(sweep).success;

  it("knows every field of experiments by its path, with its values", () => {
    expect(accepts({ base, seeds: 2, grid: { "tuning.kl.target": [1, 6], "sae.multiples": [[1, 2]] } })).toBe(true);
    expect(accepts({ base: "quick", list: [{ "probe.alpha": 2 }] })).toBe(true);
    expect(accepts({ base, grid: { "tuning.kl.targat": [1] } })).toBe(false);
    expect(accepts({ base, grid: { "tuning.steps": ["x"] } })).toBe(false);
    expect(accepts({ base, list: [{ "tuning.steps": "x" }] })).toBe(false);
    expect(accepts({ base, grid: { seed: [1] } })).toBe(false);
    expect(accepts({ base: { preset: "quick", sead: 1 }, seeds: 1 })).toBe(false);
  });
});
