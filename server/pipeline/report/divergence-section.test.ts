import { expect, it } from "vitest";
import type { Divergence } from "../artifacts/divergence.ts";
import type { Restore } from "../artifacts/restore.ts";
import { divergenceSection, gainFinding, gainSection } from "./divergence-section.ts";

const source = { run: "demo", stage: "divergence", key: "0123456789abcdef", seed: 1 };
const moved = (mlpOnly: readonly number[], chosen: number[]): Divergence => ({
  measure: "mlpOnly",
  choose: "highest",
  layers: mlpOnly.map((one, layer) => ({
    layer,
    sumOfNorms: 2 * one,
    jointL2: 1.2 * one,
    mlpOnly: one,
    relative: 0.04,
  })),
  chosen,
});
const part = (
  name: Restore["parts"][number]["part"],
  change: number,
  more: Partial<Restore["parts"][number]> = {},
): Restore["parts"][number] => ({
  part: name,
  studied: false,
  parameters: 3,
  sumOfNorms: 2,
  jointL2: 1,
  relative: 0.1,
  share: 0.25,
  reward: { mean: 0.5 + change, low: 0.4 + change, high: 0.6 + change },
  change: { mean: change, low: change - 0.05, high: change + 0.05 },
  ...more,
});
const restored: Restore = {
  prompts: 504,
  tuned: { mean: 0.5, low: 0.4, high: 0.6 },
  parts: [part("attention", -0.24), part("mlp", -0.12), part("mlp", -0.1, { studied: true }), part("head", 0.01)],
};

const gain = { mean: 0.4, low: 0.2, high: 0.6 };

it("has rows for head and attention beside the layers, and calls a tie a tie", () => {
  const { text, tables } = divergenceSection(moved([0.97, 1.0, 1.03], [1, 2]), restored, source);
  expect(text).toEqual([expect.stringMatching(/close to a tie: .* between 0\.97 and 1\.03, .* has 0\.97 beside 1 /)]);
  const rows = tables[0]?.rows ?? [];
  for (const row of rows) expect(row).toHaveLength(tables[0]?.columns.length ?? 0);
  expect(rows.map(([name, , , mlp, , share, studied]) => [name, mlp, share, studied])).toEqual([
    ["layer 0", 0.97, null, ""],
    ["layer 1", 1, null, "yes"],
    ["layer 2", 1.03, null, "yes"],
    ["attention", null, 25, ""],
    ["MLPs", 1, 25, ""],
    ["MLPs of the studied layers", 1, 25, "yes"],
    ["head", null, 25, ""],
  ]);
  expect(divergenceSection(moved([0.5, 1.0, 1.03], [1, 2]), restored, source).text).toEqual([]);
});

it("says how much of the gain is where the method looks", () => {
  const { text, tables, figures } = gainSection(restored, gain, "mlp-output", source);
  expect(text[0]).toContain(
    "MLPs of the studied layers; put back to the base model's these change the reward by -0.1 (",
  );
  expect(text[0]).toContain("so little of what was learned is where the method looks (25 % of the gain of 0.4)");
  const rows = tables[0]?.rows ?? [];
  for (const row of rows) expect(row).toHaveLength(tables[0]?.columns.length ?? 0);
  expect(rows.map(([name, , , , change, , , share]) => [name, change, share])).toEqual([
    ["attention", -0.24, expect.closeTo(60, 9)],
    ["MLPs", -0.12, expect.closeTo(30, 9)],
    ["MLPs of the studied layers", -0.1, expect.closeTo(25, 9)],
    ["head", 0.01, expect.closeTo(-2.5, 9)],
  ]);
  expect(figures).toMatchObject([{ kind: "intervals", rows: [{ label: "attention", value: -0.24 }, {}, {}, {}] }]);
  expect(gainFinding(restored, gain, "mlp-output")).toMatch(
    /most for: attention -0\.24, MLPs -0\.12, head 0\.01\. Auto/,
  );
});

it("does not take these MLPs for all that dictionaries of the residual stream see", () => {
  const [text = ""] = gainSection(restored, gain, "residual", source).text;
  expect(text).toMatch(/residual stream after the studied layers.* of these the MLPs of the studied layers, put back/);
  expect(text).toMatch(/: 25 % of the gain of 0\.4\.$/);
  expect(text).not.toContain("so little");
});

it("does not call it little where much is held, nor shares a gain that there is not", () => {
  const much = { ...restored, parts: [part("mlp", -0.3)] };
  expect(gainSection(much, gain, "mlp-output", source).text[0]).toMatch(
    /look into the MLPs; .*: 75 % of the gain of 0\.4\.$/,
  );
  const { text, tables } = gainSection(restored, { mean: -0.02, low: -0.1, high: 0.06 }, "mlp-output", source);
  expect(text[0]).toMatch(/of no gain\.$/);
  expect(tables[0]?.rows.map((row) => row.at(-1))).toEqual([null, null, null, null]);
  const none = { ...restored, parts: [part("embedding", 0)] };
  expect(gainSection(none, gain, "mlp-output", source).text[0]).toContain("has no MLPs");
});

it("gives no share of a gain that is not shown to be above zero, and says why", () => {
  const unsure = { mean: 0.02, low: -0.1, high: 0.14 };
  const why = "not shown to be above zero: 0.02 (-0.1 to 0.14), 95 % interval";
  const { text, tables } = gainSection(restored, unsure, "mlp-output", source);
  expect(text[0]).toMatch(
    /change the reward by -0\.1 \(.*\); what share of the gain that is cannot be said, as the gain is /,
  );
  expect(text[0]).toContain(why);
  expect(gainFinding(restored, unsure, "mlp-output")).toContain(why);
  expect(tables[0]?.rows.map((row) => row.at(-1))).toEqual([null, null, null, null]);
  expect(tables[0]?.notes?.join(" ")).toContain(`Parts have no share of the gain, as it is ${why}.`);
  expect(text.join(" ")).not.toMatch(/\d %(?! interval)/);
});
