import { expect, it } from "vitest";
import { mergedCharts } from "./merge.ts";

const step = (at: number, more: object) => ({ stage: "tune", step: at, ...more });

it("runs share a chart by what is measured, on the steps of all of them", () => {
  const charts = mergedCharts([
    { name: "a", lines: [1, 2, 3].map((at) => step(at, { rewardMean: at / 10, rewardSd: 1, kl: at })) },
    { name: "b", lines: [2, 4].map((at) => step(at, { rewardMean: at })) },
    { name: "empty", lines: [] },
  ]);
  expect(charts).toEqual([
    {
      id: "reward",
      title: "Reward",
      x: "step",
      xs: [1, 2, 3, 4],
      spansGaps: true,
      curves: [
        { name: "a", values: [0.1, 0.2, 0.3, null] },
        { name: "b", values: [null, 2, null, 4] },
      ],
    },
    {
      id: "kl",
      title: "KL to the base, nats a completion",
      x: "step",
      xs: [1, 2, 3],
      spansGaps: true,
      curves: [{ name: "a", values: [1, 2, 3] }],
    },
  ]);
  expect(mergedCharts([])).toEqual([]);
});

it("several curves of a run are named after it", () => {
  const line = { stage: "autoencoders", step: 1, "tuned.0.8.small.loss": 1, "base.0.8.small.loss": 2 };
  const [loss] = mergedCharts([{ name: "a", lines: [line] }]);
  const names = loss?.curves.map(({ name }) => name) ?? [];
  expect(names.every((name) => name.startsWith("a: "))).toBe(true);
});
