import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Measure, ppoMeasures } from "../../protocol/measures.ts";
import { summariseMetrics, summariseStage } from "./summaries.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-summaries-"));
});
afterAll(() => rm(folder, { recursive: true }));

const margins: readonly Measure[] = [
  { id: "loss", column: "loss", title: "Loss" },
  { id: "margin", column: "rewards/margins", title: "Margin", short: "margin" },
  { id: "accuracy", column: "rewards/accuracies", title: "Accuracy", short: "accuracy" },
];

async function tuned(lines: readonly object[], edits: readonly object[] = []): Promise<string | null> {
  await writeFile(join(folder, "log.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await writeFile(join(folder, "manifest.json"), JSON.stringify({ settings: { reward: { edits } } }));
  return summariseStage("tune", folder);
}

it("a tuning is told by the first measure with a short name, whatever tuned", async () => {
  const steps = [
    { step: 1, loss: 0.7, "rewards/margins": 0, "rewards/accuracies": 0.5 },
    { step: 2, loss: 0.6, "rewards/margins": 0.256, "rewards/accuracies": 0.75 },
  ];
  expect(await tuned([{ measures: margins }, ...steps])).toBe("2 steps, margin 0.00 to 0.26");
  expect(await tuned([{ measures: margins.slice(0, 1) }, ...steps])).toBe("2 steps");
  await expect(tuned([{ measures: margins }, { step: 1 }])).rejects.toThrow(/rewards\/margins/);
  expect(summariseMetrics("tune", { ...steps[1] }, { stage: "tune", measures: margins })).toBe(
    "step 2: margin 0.26, accuracy 0.75",
  );
});

it("a log that does not say what it measures is one of PPO, as older ones are", async () => {
  const steps = [
    { step: 1, rewardMean: -0.1, kl: 0 },
    { step: 2, rewardMean: 1.234, kl: 0.5 },
  ];
  const [first] = steps;
  expect(await tuned(steps)).toBe("2 steps, reward -0.10 to 1.23");
  expect(await tuned([{ measures: ppoMeasures }, ...steps], [{}])).toBe(
    "2 steps, reward -0.10 to 1.23, 1 rating edited",
  );
  expect(summariseMetrics("tune", { ...steps[1] }, first)).toBe("step 2: reward 1.23, KL 0.50");
});

it("the line that says what is measured says nothing by itself, and other stages are none of it", () => {
  expect(summariseMetrics("tune", { measures: margins }, { measures: margins })).toBeNull();
  expect(summariseMetrics("evaluate", { step: 1, rewardMean: 1, kl: 2 }, undefined)).toBeNull();
  expect(summariseMetrics("autoencoders", { "tuned.0.128.fve": 0.91 }, undefined)).toBe("91 % explained");
});

it("a run on pairs is told by its pairs, its margin over the steps and its accuracy", async () => {
  const put = (name: string, value: object) => writeFile(join(folder, name), JSON.stringify(value));
  const set = (pairs: number) => ({ pairs });
  await put("counts.json", {
    read: { data: { rows: 300 } },
    sets: { tuning: set(223), heldOut: set(74), analysis: set(297) },
  });
  expect(await summariseStage("prepare-pairs", folder)).toBe("223 tuning, 74 held-out, 297 analysis pairs of 300 rows");
  const steps = [0, 0.4].map((margin, at) => ({ step: at + 1, loss: 0.7, "rewards/margins": margin }));
  const log = [{ measures: margins }, ...steps].map((line) => `${JSON.stringify(line)}\n`).join("");
  await writeFile(join(folder, "log.jsonl"), log);
  expect(await summariseStage("tune-pairs", folder)).toBe("2 steps, margin 0.00 to 0.40");
  expect(summariseMetrics("tune-pairs", { ...steps[1] }, { measures: margins })).toBe("step 2: margin 0.40");
  await put("evaluation.json", { accuracy: { mean: 0.912 }, margin: { mean: 8.262 } });
  expect(await summariseStage("evaluate-pairs", folder)).toBe("preference accuracy 91 %, margin 8.26 nats");
});
