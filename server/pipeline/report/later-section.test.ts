import { expect, it } from "vitest";
import { ablationResult } from "../../ablate/result.ts";
import { renderMarkdown, reportSchema } from "./document.ts";
import { withLaterAblations } from "./later-section.ts";

const level = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });
const measured = (mean: number, change: number | null) => ({
  level: level(mean),
  change: change === null ? null : level(change),
});

function resultOf(features: { id: string; factor: number }[]) {
  const ids = features.map(({ id }) => id);
  return ablationResult.parse({
    features,
    prompts: 256,
    texts: 96,
    triples: 90,
    seed: 5,
    conditions: [
      { kind: "none", draw: null, features: [], reward: measured(2, null), loss: measured(3, null), probe: null },
      { kind: "this", draw: null, features: ids, reward: measured(1.5, -0.5), loss: measured(3.2, 0.2), probe: null },
      { kind: "mean", draw: null, features: ids, reward: measured(1.7, -0.3), loss: measured(3.1, 0.1), probe: null },
      { kind: "random", draw: 1, features: ["L4/F9"], reward: measured(2, 0.02), loss: null, probe: null },
    ],
    beyondRandom: level(-0.52),
    random: { draws: 1, change: level(0.02), lowest: 0.02, highest: 0.02 },
  });
}

const own = reportSchema.parse({
  format: 1,
  run: "demo",
  seed: 7,
  summary: ["The run's own finding."],
  sections: [{ title: "The run's own section", text: [], tables: [], figures: [] }],
});
const later = (result: unknown, earlier = false) => ({
  key: "0123456789abcdef0123",
  result,
  created: "2026-11-26T05:41:06.123Z",
  earlier,
});

it("a report without later ablations stays as it is", () => {
  expect(withLaterAblations(own, [])).toBe(own);
});

it("what is no result of an ablation is passed over", () => {
  expect(withLaterAblations(own, [later({ features: [] }), later("x")])).toBe(own);
});

it("later ablations stand in a last section of their own with what made them, and the run's sections stay", () => {
  const scaled = resultOf([{ id: "L4/F43", factor: 2 }]);
  const removed = resultOf([1, 2, 3, 4, 5, 6].map((n) => ({ id: `L2/F${n}`, factor: 0 })));
  const report = withLaterAblations(own, [later(scaled), later(removed, true)]);
  expect(report.sections.slice(0, -1)).toEqual(own.sections);
  expect(report.summary).toEqual([...own.summary, expect.stringContaining("2 ablations were measured")]);
  const section = report.sections.at(-1);
  expect(section).toMatchObject({ title: "Measured after the run", afterRun: true });
  const [overview, ...tables] = section?.tables ?? [];
  expect(overview?.rows).toEqual([
    ["1. L4/F43 times 2", -0.5, -0.6, -0.4, -0.3, 0.02, 256, 1, 5, "2026-11-26"],
    [
      "2. L2/F1, L2/F2, L2/F3, L2/F4 and 2 more removed (of dictionaries since trained anew)",
      ...[-0.5, -0.6, -0.4, -0.3, 0.02, 256, 1, 5, "2026-11-26"],
    ],
  ]);
  expect(tables.map(({ id }) => id)).toEqual([
    "later-1-reward",
    "later-1-loss-probe",
    "later-2-reward",
    "later-2-loss-probe",
  ]);
  expect(tables[0]?.rows.map(([name]) => name)).toEqual([
    "tuned model as it is",
    "features scaled",
    "features scaled about their mean",
    "random features, as often and as strongly active, scaled, draw 1",
    "random features, as often and as strongly active, scaled, mean of 1",
    "scaled beyond random",
  ]);
  expect(tables[2]?.rows[1]?.[0]).toBe("features removed");
  expect(tables[2]?.notes.join(" ")).toMatch(
    /L2\/F6\. 256 held-out prompts.*seed 5.*1 random set as often and as strongly active/,
  );
  expect(section?.figures.map(({ id }) => id)).toEqual(["later-1-ablation", "later-2-ablation"]);
  for (const { source } of [...(section?.tables ?? []), ...(section?.figures ?? [])])
    expect(source).toMatchObject({ seed: 5, measuredAfter: "2026-11-26T05:41:06.123Z" });
  const markdown = renderMarkdown(report);
  expect(markdown).toContain("## Measured after the run");
  expect(markdown).toContain("run demo, measured after the run, 2026-11-26 05:41 UTC (0123456789abcdef), seed 5");
  // The page and the file parse it as they parse the run's own.
  expect(reportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
});
