import { expect, it } from "vitest";
import { type AblationResult, ablationResult } from "../../ablate/result.ts";
import { type Ablation, ablationSchema } from "../artifacts/ablation.ts";
import { ablationFinding, rankInWords } from "./ablation-finding.ts";
import { ablationSection } from "./ablation-section.ts";
import { renderMarkdown, reportSchema } from "./document.ts";

const source = { run: "demo", stage: "ablate", key: "0123456789abcdef", seed: 1 };
const tidy = (value: number): number => Number(value.toFixed(6));
const level = (mean: number, half = 0.04) => ({ mean: tidy(mean), low: tidy(mean - half), high: tidy(mean + half) });

function resultOf(change: number, { factor = 0, draws = 19, below = 0, features = 2 } = {}): AblationResult {
  const condition = (kind: string, reward: number | null, draw: number | null = null) => ({
    kind,
    draw,
    features: [],
    reward: { level: level(0.5), change: reward === null ? null : level(reward) },
    loss: { level: level(4), change: reward === null ? null : level(0.003, 0.001) },
    probe: null,
  });
  return ablationResult.parse({
    features: Array.from({ length: features }, (_, at) => ({ id: `L4/F${at}`, factor })),
    prompts: 504,
    completions: 4,
    texts: 32,
    triples: 96,
    seed: 1,
    conditions: [
      condition("none", null),
      condition("this", change),
      ...Array.from({ length: draws }, (_, at) => condition("random", 0.02, at + 1)),
    ],
    beyondRandom: draws === 0 ? null : level(change - 0.02),
    random:
      draws === 0
        ? null
        : {
            draws,
            change: level(0.02),
            lowest: -0.03,
            highest: 0.08,
            below,
            loss: { change: level(0.03), beyond: level(-0.027) },
            energy: { set: 24, draws: 12 },
          },
    base: { change: level(-0.02), gain: level(change + 0.02) },
  });
}

const frequencies = {
  threshold: 3,
  highInputs: 10,
  otherInputs: 10,
  ablatedHigh: 1,
  randomHigh: 1,
  averageHigh: 1,
  ablatedOther: 1,
  randomOther: 1,
  averageOther: 1,
};
const ablation: Ablation = ablationSchema.parse({
  picked: "attribution",
  set: resultOf(-0.1),
  beside: [
    { picked: "attribution", result: resultOf(0.06, { factor: 2, draws: 0 }) },
    { picked: "relevant", result: resultOf(-0.01, { draws: 3, below: 1 }) },
  ],
  single: [],
  frequencies,
});

it("says in a sentence what the set does, beyond what, and whether that belongs to tuning", () => {
  expect(ablationFinding(ablation)).toBe(
    "Removing 2 features that carry most of what tuning raised lowers the mean reward: -0.1 (-0.14 to -0.06), 95 % interval, 504 prompts; beyond what random " +
      "features do that are active as often and as strongly: -0.12 (-0.16 to -0.08), below all 19 draws. Part of that belongs to tuning: the gain of tuned over base " +
      "model changes by -0.08 (-0.12 to -0.04).",
  );
  const nothing = ablationFinding({ ...ablation, set: resultOf(-0.02, { below: 7 }), picked: "relevant" });
  expect(nothing).toMatch(/relevant to the task does not measurably change the mean reward: .*above 7 of 19 draws/);
  expect(nothing).toContain("That it belongs to tuning is not shown");
  expect(ablationFinding({ ...ablation, set: resultOf(0.1), picked: "lowest" })).toMatch(/hold down .* raises/);
});

it("has every choice side by side in Table 6, with the paper's, and the main set's controls after it", () => {
  const section = ablationSection(ablation, source);
  const [table6, controls] = section.tables;
  expect(table6?.id).toBe("table-6");
  expect(table6?.rows.slice(0, 3)).toEqual([
    ["carry most by attribution", 2, -0.1, -0.14, -0.06, -0.12, -0.16, -0.08, "below all 19 draws", 0.003, 0.03],
    ["carry most by attribution, doubled instead", 2, 0.06, 0.02, 0.1, null, null, null, null, 0.003, null],
    ["explanation relevant to the task (the paper)", 2, -0.01, -0.05, 0.03, -0.03, -0.07, 0.01, "above 1 of 3 draws", 0.003, 0.03],
  ]); // biome-ignore format: a row a line
  expect(table6?.rows.some(([name]) => String(name).startsWith("paper, "))).toBe(true);
  expect(controls?.rows.map(([name]) => name).slice(-4)).toEqual([
    "random features, as often and as strongly active, mean of 19",
    "removed beyond random",
    "removed in the base model instead",
    "gain of the tuned over the base model",
  ]);
  for (const { columns, rows } of section.tables) for (const row of rows) expect(row).toHaveLength(columns.length);
  const figure = section.figures.find(({ id }) => id === "figure-choices");
  expect(figure?.kind === "intervals" && figure.rows.map(({ label }) => label)).toEqual([
    "2 that carry most by attribution",
    "2 that carry most by attribution, doubled instead",
    "2 of explanation relevant to the task (the paper)",
    "random sets for the first",
    "the first in the base model",
  ]);
  const report = { format: 1, run: "demo", seed: 1, summary: [], sections: [section] };
  expect(renderMarkdown(reportSchema.parse(report))).toContain("| below all 19 draws |");
});

it("shows what an earlier version measured", () => {
  const { base: _, ...old } = resultOf(-0.01);
  const { beside: __, ...rest } = ablation;
  const read = ablationSchema.parse({
    ...rest,
    picked: "relevant",
    set: { ...old, random: { draws: 3, change: level(0), lowest: -1, highest: 1 } },
  });
  const section = ablationSection(read, source);
  expect(section.figures.map(({ id }) => id)).toEqual(["figure-ablation"]);
  expect(section.tables[0]?.rows[0]?.slice(-3)).toEqual([null, 0.003, null]);
  expect(ablationFinding(read)).not.toMatch(/draws|tuning/);
});

it("puts a rank into words", () => {
  const random = { change: level(0), lowest: 0, highest: 0, loss: null, energy: null };
  const rank = (below: number | null, draws: number) => rankInWords({ ...random, below, draws });
  expect([rank(0, 19), rank(19, 19), rank(4, 19), rank(0, 1), rank(1, 1), rank(null, 3)]).toEqual([
    "below all 19 draws",
    "above all 19 draws",
    "above 4 of 19 draws",
    "below the one draw",
    "above the one draw",
    undefined,
  ]);
});
