import { expect, it } from "vitest";
import { rowMatrix } from "../../statistics/linear-algebra.ts";
import { activationFrequencies } from "./frequencies.ts";

/** Two triples of three features: z⁺, z⁻ and z⁰ of the first stand in rows 0, 2, 4, of the second in rows 1, 3, 5. */
const rows = [
  [5, 0, 1],
  [4, 2, 0],
  [0, 2, 1],
  [3, 0, 0],
  [9, 9, 9],
  [9, 9, 9],
];
const layers = [{ layer: 1, start: 0, end: 3 }];
const features = { layers, triples: 2, rows: rowMatrix(Float32Array.from(rows.flat()), 6, 3) };
const ratings = { range: { low: -4, high: 4 }, highReward: 3 };
const probe = { layers, weights: Float32Array.of(1, 0, 0), intercept: 0, deltaScale: null, outputScale: null };

it("counts how often a set, its random sets and all features are active where the reading is 3 or more, and elsewhere", () => {
  // Read are the first feature's 5, 4, 0 and 3: three of four inputs are of high reward. Neutral versions play no part.
  expect(activationFrequencies(probe, features, [0, 1], { ablated: [0], random: [1, 2, 1] }, ratings)).toEqual({
    threshold: 3,
    highInputs: 3,
    otherInputs: 1,
    ablatedHigh: 100,
    randomHigh: expect.closeTo((100 * 3) / 9),
    averageHigh: expect.closeTo((100 * 5) / 9),
    ablatedOther: 0,
    randomOther: 100,
    averageOther: expect.closeTo((100 * 2) / 3),
  });
});

it("a lexicon's own threshold and range decide what is high", () => {
  const own = { range: { low: 0, high: 10 }, highReward: 5 };
  const scaled = { ...probe, outputScale: { low: 0, high: 10 } };
  // 5, 4, 0 and 3 as they are, of which one is high; laid on 0 to 10 by their own ends, 10, 8, 0 and 6, of which three are.
  const found = activationFrequencies(scaled, features, [0, 1], { ablated: [0], random: [] }, own);
  expect(found).toMatchObject({ threshold: 5, highInputs: 1, otherInputs: 3 });
  const stretched = { ...probe, outputScale: { low: 0, high: 5 } };
  const high = activationFrequencies(stretched, features, [0, 1], { ablated: [0], random: [] }, own);
  expect(high).toMatchObject({ threshold: 5, highInputs: 3, otherInputs: 1 });
});

it("says nothing where there are no inputs or no random sets", () => {
  const second = activationFrequencies(probe, features, [1], { ablated: [0, 1], random: [] }, ratings);
  expect(second).toMatchObject({
    highInputs: 2,
    otherInputs: 0,
    ablatedHigh: 75,
    ablatedOther: null,
    averageOther: null,
  });
  expect(second).toMatchObject({ randomHigh: null, randomOther: null });
});
