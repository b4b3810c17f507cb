import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { headlines, type Measured, readHeadlines } from "../artifacts/headlines.ts";
import { renderMarkdown, reportSchema } from "./document.ts";
import { figuresOverSeeds, type SeedRun, seedsReport } from "./seeds-report.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-headlines-"));
});
afterAll(() => rm(folder, { recursive: true }));

const source = { run: "x-seeds", stage: "seeds", key: "0123456789abcdef", seed: 1, seeds: [1, 2, 3, 4, 5] };
const around = (value: number, half: number): Measured => ({ value, low: value - half, high: value + half });
const runOf = (seed: number, figures: SeedRun["figures"], failure: string | null = null): SeedRun => ({
  seed,
  run: `x-seed${seed}`,
  failure,
  figures,
});

it("gives mean and standard deviation between seeds beside the interval within one", () => {
  // Five runs of the demo; numpy.mean, numpy.std(ddof=1).
  const gains = [0.408, 0.367, 0.454, 0.458, 0.504];
  const runs = gains.map((gain, at) =>
    runOf(at + 1, { gain: around(gain, 0.05), "beyond-random": around(gain - 0.45, 0.03) }),
  );
  const [gain, beyond, ...others] = figuresOverSeeds(runs);
  expect(others).toEqual([]);
  expect(gain?.mean).toBeCloseTo(0.4382, 12);
  expect(gain?.sd).toBeCloseTo(0.05232781287231487, 14);
  expect(gain?.halfWidth).toBeCloseTo(0.05, 12);
  expect(gain).toMatchObject({ above: 5, below: 0, seeds: [1, 2, 3, 4, 5] });
  // Values -0.042, -0.083, 0.004, 0.008, 0.054, each give or take 0.03.
  expect(beyond).toMatchObject({ above: 1, below: 2 });
});

it("says which seeds were lost, and has a single seed without a spread", () => {
  const runs = [runOf(3, { kl: around(2.5, 0.1) }), runOf(4, {}, "no room on the | disk")];
  const report = reportSchema.parse(seedsReport("x-seeds", runs, { ...source, seed: 3, seeds: [3, 4] }));
  expect(figuresOverSeeds(runs)[0]).toMatchObject({ sd: null, values: [{ value: 2.5 }] });
  const text = renderMarkdown(report);
  expect(text).toContain("Seeds 3, 4.");
  expect(text).toMatch(/are in none of these figures: 4 /);
  expect(text).toContain("| 4 | x-seed4 | no room on the \\| disk |");
  for (const table of report.sections.flatMap(({ tables }) => tables))
    for (const row of table.rows) expect(row).toHaveLength(table.columns.length);
});

it("reads the figures that an output has and leaves out the others", async () => {
  const paths = {
    evaluate: join(folder, "evaluation.json"),
    ablate: join(folder, "ablation.json"),
    restore: join(folder, "restore.json"),
    probe: join(folder, "probe.json"),
    fitted: join(folder, "fitted.json"),
    learned: join(folder, "none.json"),
  };
  await writeFile(paths.evaluate, JSON.stringify({ difference: { mean: 0.4, low: 0.3, high: 0.5 }, kl: "lost" }));
  const change = { mean: -0.1, low: -0.2, high: 0 };
  const conditions = [{ kind: "none" }, { kind: "this", reward: { change } }];
  const doubled = { mean: 0.3, low: 0.1, high: 0.5 };
  const beside = [
    { result: { features: [{ id: "L1/F2", factor: 0 }], conditions } },
    { result: { features: [{ id: "L1/F2", factor: 2 }], conditions: [{ kind: "this", reward: { change: doubled } }] } },
  ];
  await writeFile(paths.ablate, JSON.stringify({ set: { conditions, beyondRandom: null }, beside }));
  const part = (name: string, studied: boolean, mean: number, low: number, high: number) => ({
    part: name,
    studied,
    change: { mean, low, high },
  });
  const parts = [
    part("attention", false, -0.3, -0.4, -0.2),
    part("mlp", false, -0.2, -0.3, 0),
    part("mlp", true, -0.1, -0.15, -0.05),
  ];
  await writeFile(paths.restore, JSON.stringify({ parts }));
  const kendall = { tau: 0.25, interval: { low: 0.1, high: 0.4 } };
  const byWord = {
    probe: { kendall },
    differences: { baseModel: { difference: 0.03, interval: { low: -0.1, high: 0.2 } } },
  };
  await writeFile(paths.probe, JSON.stringify({ report: { byWord } }));
  await writeFile(paths.fitted, JSON.stringify({ report: { byWord: { probe: { kendall }, baseModel: null } } }));
  expect(await readHeadlines(paths)).toEqual({
    tau: { value: 0.25, low: 0.1, high: 0.4 },
    "tau-beyond-base": { value: 0.03, low: -0.1, high: 0.2 },
    "fitted-tau": { value: 0.25, low: 0.1, high: 0.4 },
    gain: { value: 0.4, low: 0.3, high: 0.5 },
    ablation: { value: -0.1, low: -0.2, high: 0 },
    doubled: { value: 0.3, low: 0.1, high: 0.5 },
    "restore-attention": { value: -0.3, low: -0.4, high: -0.2 },
    "restore-mlp": { value: -0.1, low: -0.15, high: -0.05 },
  });
  expect(new Set(headlines.map(({ id }) => id)).size).toBe(headlines.length);
});
