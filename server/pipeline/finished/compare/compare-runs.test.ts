import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import probe from "../../../../assets/starter-run/probe/probe.json" with { type: "json" };
import { runRecord } from "../../../../test/support/run-record.ts";
import { RunComparison } from "../../../protocol/comparison.ts";
import type { RunRecord } from "../../../runs/run-folder.ts";
import { headlines, titleOf } from "../../artifacts/headlines.ts";
import { compareRuns } from "./compare-runs.ts";
import { comparisonCsv, comparisonMarkdown } from "./files.ts";
import { comparisonText, letterOf } from "./text.ts";

const starterRun = fileURLToPath(new URL("../../../../assets/starter-run", import.meta.url));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "lfp-compare-"));
});
afterAll(() => rm(root, { recursive: true }));

interface MadeRun {
  readonly experiment?: object;
  readonly record?: Partial<RunRecord>;
  /** Contents of outputs by stage; stages are done unless `todo` names them. */
  readonly outputs?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly todo?: readonly string[];
}

/** Writes a run's folder: experiment, record, and the files of its stages' outputs. */
async function made(name: string, { experiment, record, outputs = {}, todo = [] }: MadeRun): Promise<string> {
  const folder = join(root, name);
  const write = async (path: string, value: unknown): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), typeof value === "string" ? value : JSON.stringify(value));
  };
  await mkdir(folder, { recursive: true });
  if (experiment !== undefined) await write("experiment.json", { preset: "quick", ...experiment });
  const stages = [...Object.keys(outputs), ...todo].map((id) => ({
    id,
    stage: id,
    codeVersion: 1,
    status: todo.includes(id) ? ("todo" as const) : ("done" as const),
    output: `stages/${id}-0`,
  }));
  if (record !== undefined || stages.length > 0) await write("run.json", runRecord({ stages, ...record }));
  for (const [id, files] of Object.entries(outputs))
    for (const [file, value] of Object.entries(files)) await write(`stages/${id}-0/${file}`, value);
  return folder;
}

const gainOf = (mean: number) => ({ "evaluation.json": { difference: { mean, low: mean - 0.05, high: mean + 0.05 } } });
const seedRun = (seed: number, gain: number) =>
  made(`seed${seed}`, { experiment: { seed }, outputs: { evaluate: gainOf(gain) } });

describe("runs that differ by seed alone", () => {
  // As in student-interval.test.ts, whose interval is scipy's.
  const gains = [0.408, 0.367, 0.454, 0.458, 0.504];
  let comparison: RunComparison;
  beforeAll(async () => {
    const seeds = await Promise.all(gains.map((gain, at) => seedRun(at + 1, gain)));
    const other = await made("steady", {
      experiment: { seed: 1, name: "steady", tuning: { kl: { coefficient: 0.1 } } },
      outputs: { evaluate: gainOf(0.2) },
    });
    comparison = RunComparison.parse(await compareRuns([...seeds, other]));
  });

  it("have mean and interval between seeds beside each run's own", () => {
    expect(comparison.seedGroups).toEqual([[0, 1, 2, 3, 4]]);
    const [gain, ...others] = comparison.findings;
    expect(others).toEqual([]);
    expect(gain).toMatchObject({ id: "gain", better: "higher" });
    expect(gain?.values[1]).toEqual({ value: 0.367, low: 0.367 - 0.05, high: 0.367 + 0.05 });
    expect(gain?.values[5]?.value).toBe(0.2);
    expect(gain?.overSeeds[0]?.mean).toBeCloseTo(0.4382, 12);
    expect(gain?.overSeeds[0]?.low).toBeCloseTo(0.37322643865170313, 12);
    expect(gain?.overSeeds[0]?.high).toBeCloseTo(0.5031735613482968, 12);
  });

  it("show the settings that differ and no others", () => {
    expect(comparison.settings).toEqual([
      { name: "seed", values: ["1", "2", "3", "4", "5", "1"] },
      { name: "tuning.kl.coefficient", values: ["0.2", "0.2", "0.2", "0.2", "0.2", "0.1"] },
    ]);
    expect(comparison.notes).toEqual([]);
    expect(comparison.runs.map(({ missing }) => missing)).toEqual(gains.map(() => []).concat([[]]));
  });

  it("are no group if a seed is there twice", async () => {
    const again = await made("again", { experiment: { seed: 1 }, outputs: { evaluate: gainOf(0.4) } });
    expect((await compareRuns([join(root, "seed1"), again])).seedGroups).toEqual([]);
  });

  it("fit 100 columns as text, in blocks whose rows have their labels", () => {
    const text = comparisonText(comparison);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect(text).toContain("  A to E\n");
    expect(text.match(/↑ reward gained by tuning /g)).toHaveLength(3);
    expect(text).toContain("0.408 [0.358, 0.458]");
    expect(text).toContain("0.438 [0.373, 0.503]");
  });

  it("have every number in one CSV table and the same tables in Markdown", () => {
    const rows: string[][] = parse(comparisonCsv(comparison));
    const head = rows[0] ?? [];
    const gain = rows.find(([, id]) => id === "gain") ?? [];
    const cell = (column: string): string | undefined => gain[head.indexOf(column)];
    expect([cell("seed2"), cell("seed2: low"), cell("steady: high")]).toEqual(["0.367", "0.317", "0.25"]);
    expect(Number(cell("seeds of seed1, seed2, seed3, seed4, seed5: low"))).toBeCloseTo(0.37322643865170313, 12);
    expect(rows.find(([, id]) => id === "tuning.kl.coefficient")?.[head.indexOf("steady")]).toBe("0.1");
    const markdown = comparisonMarkdown(comparison);
    expect(markdown).toContain("| reward gained by tuning | higher | 0.408 \\[0.358, 0.458\\] |");
    expect(markdown).toContain("## Between seeds");
    const widths = markdown.split("\n").filter((line) => line.startsWith("| tuning"));
    expect(widths).toEqual(["| tuning.kl.coefficient | 0.2 | 0.2 | 0.2 | 0.2 | 0.2 | 0.1 |"]);
  });
});

describe("runs that have not the same", () => {
  it("say what is missing instead of failing", async () => {
    const whole = await made("whole", {
      experiment: {},
      outputs: {
        evaluate: gainOf(0.4),
        learned: { "learned.json": { statistics: { tau: { value: 0.6, low: 0.5, high: 0.7 } } } },
      },
    });
    const runs = [
      whole,
      await made("begun", {
        experiment: { seed: 2 },
        record: { state: { kind: "cancelled" } },
        outputs: {},
        todo: ["evaluate", "learned"],
      }),
      await made("fewer", { experiment: { seed: 3 }, outputs: { evaluate: gainOf(0.3) } }),
      await made("pairs", {
        experiment: { preset: "preferences", data: { source: { file: "/x/pairs.jsonl" } } },
        outputs: { evaluate: { "evaluation.json": { kind: "pairs", accuracy: { mean: 0.9, low: 0.8, high: 1 } } } },
      }),
      await made("damaged", { experiment: { preset: "no such" }, outputs: { evaluate: { "evaluation.json": "{" } } }),
      await made("cleared", { experiment: { seed: 4 }, outputs: { evaluate: {} } }),
      await made("unstarted", { experiment: { seed: 5 } }),
      await made("bare", { record: {} }),
    ];
    const { runs: found, notes, findings } = await compareRuns(runs);
    const missing = Object.fromEntries(found.map((run) => [run.name, run.missing.join(" ")]));
    expect(missing["whole"]).toBe("");
    expect(missing["begun"]).toBe("It is cancelled; not finished: evaluate, learned.");
    expect(missing["fewer"]).toBe("Its plan lacks the stages learned.");
    expect(missing["damaged"]).toMatch(/preset: got "no such"; expected one of/);
    expect(missing["damaged"]).toMatch(/evaluation\.json is damaged: .*JSON/);
    expect(missing["cleared"]).toContain("Its folder does not keep the outputs of evaluate.");
    expect(missing["unstarted"]).toBe("It has not begun, and so has no figures.");
    expect(missing["bare"]).toContain("It has no experiment.json: its settings are unknown.");
    expect(notes.join(" ")).toContain(
      "Their tasks differ: sentiment (whole, begun, fewer, cleared, unstarted); pairs (pairs).",
    );
    expect(notes.join(" ")).toContain("Their feedback differs");
    const preference = findings.find(({ id }) => id === "preference");
    expect(preference?.values.map((one) => one?.value ?? null)).toEqual([
      null,
      null,
      null,
      0.9,
      null,
      null,
      null,
      null,
    ]);
  });

  it("say where another version of the code computed a stage", async () => {
    const stage = { id: "evaluate", stage: "evaluate", status: "done" as const };
    const of = (name: string, codeVersion: number) =>
      made(name, { experiment: {}, record: { stages: [{ ...stage, codeVersion }] } });
    const { notes, settings } = await compareRuns([await of("older", 1), await of("newer", 2)]);
    expect(notes).toEqual(["Different versions of the code computed evaluate (1 in older, 2 in newer)."]);
    expect(settings).toEqual([]);
  });

  it("say which version and device they were computed by, where those that say so differ", async () => {
    const of = (name: string, record: Partial<RunRecord>) => made(name, { experiment: {}, record });
    const { settings } = await compareRuns([
      await of("at-home", { versions: { "lfp-lens": "0.1.0" }, deviceClass: "cpu-2" }),
      await of("away", { versions: { "lfp-lens": "0.1.0" }, deviceClass: "gpu" }),
      await made("not-begun", { experiment: {} }),
    ]);
    expect(settings).toEqual([{ name: "run.device", values: ["cpu-2", "gpu", null] }]);
  });

  it("have names that tell them apart", async () => {
    const [a, b] = [await made("x/same", { experiment: {} }), await made("y/same", { experiment: {} })];
    expect((await compareRuns([a, b])).runs.map(({ name }) => name)).toEqual([join("x", "same"), join("y", "same")]);
  });
});

it("the run that comes with the program has its figures where they are published", async () => {
  const { runs, findings } = await compareRuns([starterRun, await seedRun(6, 0.1)]);
  const of = (id: string): unknown => findings.find((finding) => finding.id === id)?.values[0];
  const { tau, interval } = probe.report.byWord.probe.kendall;
  expect(of("tau")).toEqual({ value: tau, low: interval.low, high: interval.high });
  // numpy.mean of `relative` over layers 1 to 5 of its divergence.json, and of `lossRecovered` over the tuned model's.
  expect(of("moved")).toMatchObject({ value: expect.closeTo(0.038158395572476134, 12), low: null });
  expect(of("recovered")).toMatchObject({ value: expect.closeTo(0.8533234189353939, 12) });
  expect(of("planted-log-ratio")).toMatchObject({ value: 0.9486956521739132, low: 0.9043478260869566 });
  expect(runs[0]?.missing).toEqual(["Its folder does not keep the outputs of evaluate."]);
  expect(runs[1]?.missing.join(" ")).toContain("It has no calibration of its settings");
});

it("titles of figures leave room for two runs on a line, and letters go on after Z", () => {
  for (const headline of headlines) expect(titleOf(headline).length, headline.id).toBeLessThanOrEqual(46);
  expect([0, 25, 26, 27, 701, 702].map(letterOf)).toEqual(["A", "Z", "AA", "AB", "ZZ", "AAA"]);
});
