import { expect, it } from "vitest";
import { type Measure, ppoMeasures } from "../../server/protocol/measures.ts";
import { chartsOf } from "./series.ts";

const measures: readonly Measure[] = [
  { id: "margin", column: "rewards/margins", title: "Margin, nats", spread: "rewards/sd" },
  { id: "loss", column: "loss", title: "Loss" },
  { id: "never", column: "never", title: "Never logged" },
];

it("tuning is drawn by what its log says that it measures", () => {
  const charts = chartsOf([
    { stage: "prepare", loss: 9 },
    { stage: "tune", measures },
    { stage: "tune", step: 1, loss: 0.7, "rewards/margins": 0, "rewards/sd": 0.5 },
    { stage: "tune", step: 2, loss: 0.6, "rewards/margins": 1, "rewards/sd": 0.25 },
    { stage: "evaluate", loss: 9 },
  ]);
  expect(charts).toEqual([
    {
      id: "margin",
      title: "Margin, nats",
      x: "step",
      xs: [1, 2],
      curves: [
        {
          name: "Margin, nats",
          values: [0, 1],
          low: [-0.5, 0.75],
          high: [0.5, 1.25],
          bandName: "± standard deviation of the batch",
        },
      ],
    },
    { id: "loss", title: "Loss", x: "step", xs: [1, 2], curves: [{ name: "Loss", values: [0.7, 0.6] }] },
  ]);
});

it("a log that does not say it is one of PPO, as older ones are", () => {
  const steps = [1, 2].map((step) => ({ stage: "tune", step, rewardMean: step, kl: 0.1 * step }));
  const older = chartsOf(steps);
  expect(older.map(({ id }) => id)).toEqual(["reward", "kl"]);
  expect(chartsOf([{ stage: "tune", measures: ppoMeasures }, ...steps])).toEqual(older);
});

it("what is no list of measures is passed over", () => {
  const line = { stage: "tune", step: 1, rewardMean: 1 };
  for (const broken of [1, [], [{ id: "A B" }]])
    expect(chartsOf([{ stage: "tune", measures: broken }, line]).map(({ id }) => id)).toEqual(["reward"]);
});
