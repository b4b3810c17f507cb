/** What lenses say of themselves, for tests that need no lens. */
import type { Calibration, ReadingName, ReadingPower } from "../../server/protocol/calibration.ts";
import type { PairInfo, RunInfo } from "../../server/protocol/lens-state.ts";

/** A run with everything but a feature store and a calibration. */
export const runInfo: RunInfo = {
  kind: "run",
  runFolder: "/runs/one",
  runName: "one",
  dictionaries: null,
  task: "sentiment",
  modelType: "gpt_neox",
  layers: [1],
  features: 8,
  device: "CPU",
  hasTrueReward: true,
  hasFamiliarity: true,
  hasBase: true,
  hasFitted: false,
  beta: null,
  hasFeatureStore: false,
  calibration: null,
};

export const pairInfo: PairInfo = {
  kind: "pair",
  tuned: "/models/dpo",
  base: "/models/pythia",
  modelType: "gpt_neox",
  bos: false,
  device: "CPU",
};

/** Eight of ten planted words found at the threshold of 0.3; one in twenty by chance. */
export function power(auroc: number, low: number, more: Partial<ReadingPower> = {}): ReadingPower {
  const counts = { signs: { right: 7, of: 10 }, found: { count: 8, of: 10 } };
  return { auroc, low, high: 1, threshold: 0.3, falsePositives: 0.05, ...counts, ...more };
}

export function calibration(
  best: ReadingName | null,
  words: Readonly<Partial<Record<ReadingName, ReadingPower>>>,
  places: ReadingPower | null = null,
): Calibration {
  const readings = Object.fromEntries(
    Object.entries(words).map(([name, measured]) => [name, { words: measured, places }]),
  );
  return { format: 1, experiment: "x", sets: 5, nulls: 2, seeds: [1, 2], words: 100, readings, best };
}
