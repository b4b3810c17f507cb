import { expect, it } from "vitest";
import type { Autoencoders } from "../artifacts/autoencoders.ts";
import type { Explanations } from "../artifacts/explanations.ts";
import { explanationSection, explanationsFinding } from "./explanation-section.ts";
import { relevanceTable, similarTable } from "./relevance-tables.ts";

const source = { run: "demo", stage: "explain", key: "0123456789abcdef", seed: 1 };

function feature(id: string, relevant: boolean): Explanations["features"][number] {
  const relevance = { relevant, polarity: relevant ? "positive" : "none", confidence: 1, why: "" } as const;
  return { id, text: `about ${id}`, detail: { terms: [], scores: [], relevance } };
}

/** Twelve features of layer 1 and one of layer 3; of the base model's three, one has to do with the task. */
const found: Explanations = {
  explainer: "offline",
  task: "praise",
  features: [
    ...Array.from({ length: 12 }, (_, at) => feature(`L1/F${at}`, at === 2 || at === 11)),
    feature("L3/F7", true),
  ],
  base: [feature("base:L1/F4", true), feature("base:L1/F5", false), feature("base:L3/F0", false)],
  failed: [],
};
const matches = (...small: number[]) => small.map((one, at) => ({ small: one, big: one, cosine: 1 - at / 100 }));
const shared = { small: 128, big: 256, meanMaxCosine: 0.5 };
const similarities: Autoencoders["similarities"] = [
  { ...shared, model: "base", layer: 1, matches: matches(5, 4) },
  { ...shared, model: "base", layer: 3, matches: matches(0) },
  // Feature 99 is dead, so nothing explained it.
  { ...shared, model: "tuned", layer: 1, matches: matches(11, 10, 99, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0) },
  { ...shared, model: "tuned", layer: 3, matches: matches(7) },
];

it("lists ten features a layer by falling similarity, stars what has to do with the task, and counts the same in the base model", () => {
  const { rows, columns } = similarTable(found, similarities, source);
  expect(rows.slice(0, 3)).toEqual([
    ["1", "11*, 10, 9, 8, 7, 6, 5, 4, 3, 2*", 2, 1],
    ["3", "7*", 1, 0],
    ["all 11", null, 3, 1],
  ]);
  expect(rows.at(-1)).toEqual(["paper, all 50", null, 21, 13]);
  const paper = rows.flatMap(([name, list]) =>
    String(name).startsWith("paper, layer") ? [String(list).split(", ")] : [],
  );
  expect(paper.map((list) => new Set(list).size)).toEqual([10, 10, 10, 10, 10]);
  for (const row of rows) expect(row).toHaveLength(columns.length);
});

it("gives shares by layer and with their interval", () => {
  const { rows } = relevanceTable(found, source);
  expect(rows.slice(0, 2)).toEqual([
    ["1", 12, 2, expect.closeTo(16.6667, 3), 2, 1, 50],
    ["3", 1, 1, 100, 1, 0, 0],
  ]);
  // Wilson's interval of 3 of 13 and of 1 of 3: scipy's binomtest(...).proportion_ci(method="wilson").
  expect(rows[2]).toEqual(["all", 13, 3, expect.closeTo(23.0769, 3), 3, 1, expect.closeTo(33.3333, 3)]);
  expect(rows[3]).toEqual([
    expect.stringContaining("low"),
    null,
    null,
    expect.closeTo(8.179529, 5),
    null,
    null,
    expect.closeTo(6.149194, 5),
  ]);
  expect(rows[4]).toEqual([
    expect.stringContaining("high"),
    null,
    null,
    expect.closeTo(50.256376, 5),
    null,
    null,
    expect.closeTo(79.23404, 5),
  ]);
});

it("says whether relevance marks anything that tuning made", () => {
  const of = (model: string, relevant: number, count: number) =>
    Array.from({ length: count }, (_, at) => feature(`${model}L1/F${at}`, at < relevant));
  const words = (tuned: number, base: number) =>
    explanationSection({ ...found, features: of("", tuned, 150), base: of("base:", base, 150) }, [], source).text[1];
  // p of scipy.stats.fisher_exact: 1 for 16 against 15 of 150, 0.000137 for 40 against 14.
  expect(words(16, 15)).toMatch(
    /no more features .* \(16 of 150 beside 15 of 150, Fisher's exact p 1\): .* nothing that tuning/,
  );
  expect(words(40, 14)).toMatch(/marks more features of the tuned model .* p 0\.0001/);
  expect(words(14, 40)).toMatch(/marks fewer features of the tuned model/);
  expect(explanationSection({ ...found, base: [] }, [], source).text).toHaveLength(1);
  const finding = (tuned: number, base: number) =>
    explanationsFinding({ ...found, features: of("", tuned, 150), base: of("base:", base, 150) });
  expect(finding(16, 15)).toContain("15 of 150 (10 %), not shown to be fewer;");
  expect(finding(40, 14)).toContain("14 of 150 (9.333 %);");
});

it("has the paper's rows in Tables 1 and 8, and both shares in its finding", () => {
  const { tables } = explanationSection(found, similarities, source);
  const paper = (id: string) =>
    tables.find((table) => table.id === id)?.rows.filter(([name]) => String(name).startsWith("paper, "));
  expect(paper("table-1")?.map(([name]) => name)).toEqual([
    "paper, L2/F37",
    "paper, L2/F99",
    "paper, L2/F148",
    "paper, L3/F23",
    "paper, L4/F43",
  ]);
  const listed = new Map(
    paper("table-8")?.map(([name, list]) => [String(name).slice("paper, layer ".length), String(list).split(", ")]),
  );
  for (const [layer, number] of [
    ["2", "37"],
    ["2", "99"],
    ["2", "148"],
    ["3", "23"],
    ["4", "43"],
  ] as const)
    expect(listed.get(layer)).toContain(number);
  expect(explanationsFinding(found)).toContain(
    "3 of 13 (23.08 %) have to do with the task, and of the base model's 1 of 3 (33.33 %)",
  );
});
