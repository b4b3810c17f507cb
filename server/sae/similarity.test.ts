import { expect, it } from "vitest";
import { Random } from "../common/random.ts";
import type { Sae } from "./sae.ts";
import { similarityBaseline } from "./similarity.ts";

function dictionary(decoder: readonly number[], D: number): Sae {
  const F = decoder.length / D;
  const rows = Float32Array.from(decoder);
  const biases = { encoderBias: new Float32Array(F), decoderBias: new Float32Array(D) };
  return { D, F, activation: { kind: "relu" }, encoder: rows, decoder: rows, ...biases };
}

it("is the closed form for one direction among n in three dimensions", async () => {
  // A cosine with a uniform direction of the sphere in R^3 is uniform over -1 to 1 (Archimedes), so the largest of n has the mean (n - 1) / (n + 1).
  for (const n of [1, 2, 5, 12]) {
    const baselines = Array.from({ length: 4000 }, (_, seed) =>
      similarityBaseline(dictionary([0, 0, 2], 3), { D: 3, F: n }, Random.fromSeed(seed)),
    );
    const found = await Promise.all(baselines);
    const mean = (of: "withRandom" | "random"): number => found.reduce((sum, one) => sum + one[of], 0) / found.length;
    // Standard errors are at most 0.01.
    expect(Math.abs(mean("withRandom") - (n - 1) / (n + 1))).toBeLessThan(0.035);
    expect(Math.abs(mean("random") - (n - 1) / (n + 1))).toBeLessThan(0.035);
  }
});

it("depends on the trained dictionary only where it is told to, and on nothing but the seed", async () => {
  const [random, D] = [Random.fromSeed(8), 16];
  const draw = (F: number) =>
    dictionary(
      Array.from({ length: F * D }, () => random.normal()),
      D,
    );
  // All rows alike: the one big direction nearest to them can serve only one.
  const [spread, alike] = [
    draw(12),
    dictionary(Array.from({ length: 12 }, () => Array.from({ length: D }, (_, at) => at + 1)).flat(), D),
  ];
  const of = (small: Sae) => similarityBaseline(small, { D, F: 24 }, Random.fromSeed(3));
  const [ofSpread, ofAlike] = [await of(spread), await of(alike)];
  expect(await of(spread)).toEqual(ofSpread);
  expect(ofSpread.random).toBe(ofAlike.random);
  expect(ofAlike.withRandom).toBeLessThan(ofSpread.withRandom);
  expect(ofSpread.withRandom).toBeGreaterThan(0.2);
  expect(ofSpread.withRandom).toBeLessThan(0.6);
});

it("refuses dictionaries of two widths", async () => {
  await expect(similarityBaseline(dictionary([1, 0], 2), { D: 3, F: 4 }, Random.fromSeed(1))).rejects.toThrow(
    /one width/,
  );
});
