import { expect, test } from "vitest";
import { plantedTriples } from "../../test/support/planted-triples.ts";
import { Random } from "../common/random.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { fitRidge } from "../statistics/ridge.ts";
import { familiarityOf, leverages } from "./familiarity.ts";
import { polarRows, takeRows } from "./features.ts";
import { splitByTriple, splitByWord } from "./splits.ts";

const planted = plantedTriples({ triples: 40, words: 8, columns: 7, signal: 1, identity: 0.4, noise: 0.2, seed: 3 });
const { triples, features } = planted;
const alpha = 0.5;
const [fold] = splitByTriple(triples.length, 0.8, Random.fromSeed(1)).folds;
const train = fold?.train ?? new Int32Array();
const byWord = splitByWord(triples, 4, Random.fromSeed(2));
const familiarity = await familiarityOf(features, { train, byWord, alpha });
const rows = polarRows(features);

test("a leverage is how much the ridge regression's prediction moves with the targets", async () => {
  const trained = takeRows(rows, train);
  const found = leverages(trained, familiarity);
  const targets = new Float64Array(train.length);
  for (const i of [0, 5, train.length - 1]) {
    targets[i] = 1;
    // The prediction is linear in the targets: this is its derivative by target i, the intercept's 1 / n included.
    const moved = predictLinear(await fitRidge(trained, targets, alpha), trained)[i] ?? Number.NaN;
    expect(found[i]).toBeCloseTo(moved - 1 / train.length, 5);
    targets[i] = 0;
  }
});

test("it grows with the square of the distance from the mean, and is nothing there", async () => {
  const away = Float32Array.from({ length: 7 }, (_, j) => (j === 2 ? 3 : j === 5 ? -1 : 0));
  const at = (times: number): number => {
    const z = familiarity.means.map((mean, j) => mean + times * (away[j] ?? 0));
    return leverages(rowMatrix(z, 1, 7), familiarity)[0] ?? Number.NaN;
  };
  expect(at(0)).toBeCloseTo(0, 6);
  expect(at(1)).toBeGreaterThan(0.1);
  expect(at(4) / at(1)).toBeCloseTo(16, 2);
});

test("the limit is what 95 % of rows of words that a fit did not see stay within", async () => {
  const unseen: number[] = [];
  for (const { train: seen, test: others } of byWord.folds) {
    const of = await familiarityOf(features, { train: seen, byWord, alpha });
    unseen.push(...leverages(takeRows(rows, others), of));
  }
  expect(unseen).toHaveLength(2 * triples.length);
  const within = unseen.filter((leverage) => leverage <= familiarity.limit * (1 + 1e-6)).length;
  expect(within / unseen.length).toBeGreaterThanOrEqual(0.94);
  expect(within / unseen.length).toBeLessThanOrEqual(0.96);
});

test("what was worked out of a fold before is taken", async () => {
  const kept = await familiarityOf(features, { train, byWord, alpha, heldOut: async () => [1, 2, 3] });
  expect(kept.limit).toBeCloseTo(3, 5);
  expect(kept.inverse).toEqual(familiarity.inverse);
});
