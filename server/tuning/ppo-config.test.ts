import { describe, expect, it } from "vitest";
import { learningRateAt, PpoConfig, ppoPresets } from "./ppo-config.ts";
import { paperSampling, SamplingConfig } from "./sampling-config.ts";

const { quick, paper } = ppoPresets;

it.each(Object.entries(ppoPresets))("preset %s is a valid config", (_, preset) => {
  expect(PpoConfig.parse(preset)).toEqual(preset);
});

it("the paper's numbers are in its preset", () => {
  expect(paper).toMatchObject({ batchSize: 64, miniBatchSize: 16, maxGradientNorm: 1, learningRate: 1e-6, epochs: 4 });
  expect(paper.kl).toEqual({ mode: "adaptive", coefficient: 0.5, target: 6, horizon: 10_000 });
  expect(SamplingConfig.parse(paperSampling)).toMatchObject({
    promptTokens: { min: 2, max: 9 },
    newTokens: { min: 8, max: 19 },
    minTextCharacters: 200,
    temperature: 1,
  });
});

describe("refusals name the field", () => {
  const cases: [path: string, config: unknown][] = [
    ["miniBatchSize", { ...quick, batchSize: 64, miniBatchSize: 24 }],
    ["warmupSteps", { ...quick, steps: 10, warmupSteps: 10 }],
    ["stop.maxKl", { ...paper, stop: { minKl: -1, maxKl: 5 } }],
    ["kind", { ...quick, kind: "dpo" }],
    ["kl", { ...quick, kl: { mode: "fixed", coefficient: 0.1, target: 6 } }],
    ["", { ...quick, learninRate: 1 }],
    ["stop.minKl", { ...quick, stop: { minKl: 0, maxKl: 5 } }],
  ];
  it.each(cases)("%s", (path, config) => {
    const { error } = PpoConfig.safeParse(config);
    expect(error?.issues.map((issue) => issue.path.join("."))).toContain(path);
  });
});

it.each<[path: string, changes: object]>([
  ["promptTokens.max", { promptTokens: { min: 5, max: 4 } }],
  ["newTokens.min", { newTokens: { min: 0, max: 4 } }],
  ["temperature", { temperature: 0 }],
  ["rows", { rows: 0 }],
  ["scoredRows", { scoredRows: 1.5 }],
])("settings of sampling that are refused: %s", (path, changes) => {
  const { error } = SamplingConfig.safeParse({ ...paperSampling, ...changes });
  expect(error?.issues.map((issue) => issue.path.join("."))).toContain(path);
});

it("the learning rate rises from 0 and falls to 0, as transformers' linear schedule does", () => {
  // get_linear_schedule_with_warmup(optimizer, 10, 388) at lr 1e-6.
  const expected: [step: number, rate: number][] = [
    [0, 0],
    [1, 1e-7],
    [9, 9e-7],
    [10, 1e-6],
    [199, 5e-7],
    [387, 1e-6 / 378],
    [388, 0],
  ];
  for (const [step, rate] of expected) expect(learningRateAt(paper, step)).toBeCloseTo(rate, 15);
  expect(learningRateAt({ ...paper, schedule: "constant" }, 387)).toBe(1e-6);
});
