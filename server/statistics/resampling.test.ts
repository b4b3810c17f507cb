import { describe, expect, test } from "vitest";
import { Random } from "../common/random.ts";
import { kendallTau } from "./kendall.ts";
import { mean, standardDeviation } from "./moments.ts";
import { percentile } from "./percentile.ts";
import { bootstrapInterval, permutationTest, pick } from "./resampling.ts";

const meanOf = (values: readonly number[]) => (rows: Int32Array) => mean(pick(values, rows));

describe("bootstrapInterval", () => {
  test("tends to the percentiles of all n^n resamples", async () => {
    const values = [0, 1, 5, 17];
    const all = Array.from({ length: 256 }, (_, code) =>
      mean([code & 3, (code >> 2) & 3, (code >> 4) & 3, code >> 6].map((i) => values[i] ?? Number.NaN)),
    );
    const random = Random.fromSeed(1);
    const result = await bootstrapInterval([..."abcd"], meanOf(values), { random, resamples: 40_000, confidence: 0.8 });
    expect(result.estimate).toBe(5.75);
    expect(result.low).toBe(percentile(all, 10));
    expect(result.high).toBe(percentile(all, 90));
    expect(result.standardError).toBeCloseTo(standardDeviation(all, 0), 1);
  });

  test("draws whole groups: copies of a row in its own group add no certainty", async () => {
    const values = Array.from({ length: 30 }, (_, i) => Math.sin(i) * 3);
    const words = values.map((_, i) => `word${i}`);
    const copies = values.flatMap((value) => [value, value, value]);
    const copiedWords = words.flatMap((word) => [word, word, word]);
    const run = (groups: string[], of: number[]) =>
      bootstrapInterval(groups, meanOf(of), { random: Random.fromSeed(2) });
    const once = await run(words, values);
    const grouped = await run(copiedWords, copies);
    const ungrouped = await run([...copies.keys()].map(String), copies);
    expect(grouped.low).toBeCloseTo(once.low, 12);
    expect(grouped.high).toBeCloseTo(once.high, 12);
    expect((ungrouped.high - ungrouped.low) / (once.high - once.low)).toBeCloseTo(Math.sqrt(1 / 3), 1);
  });

  test("covers the true mean about as often as it promises", async () => {
    const random = Random.fromSeed(3);
    const groups = Array.from({ length: 40 }, (_, i) => i);
    let covered = 0;
    for (let trial = 0; trial < 300; trial++) {
      const values = groups.map(() => random.normal());
      const { low, high } = await bootstrapInterval(groups, meanOf(values), { random, resamples: 300 });
      if (low <= 0 && high >= 0) covered++;
    }
    expect(covered / 300).toBeGreaterThan(0.89);
    expect(covered / 300).toBeLessThan(0.98);
  });

  test("equal seeds give equal intervals, and another seed another one", async () => {
    const values = [0.3, 4.1, -2.2, 0.7, 9.9, 1.3, 2.4, -7.7];
    const run = (seed: number) =>
      bootstrapInterval([...values.keys()], meanOf(values), { random: Random.fromSeed(seed) });
    expect(await run(4)).toEqual(await run(4));
    expect((await run(4)).standardError).not.toBe((await run(5)).standardError);
  });

  test("leaves out resamples without a statistic and counts them", async () => {
    const [x, y] = [
      [1, 2, 3],
      [1, 3, 2],
    ];
    const tau = (rows: Int32Array) => kendallTau(pick(x, rows), pick(y, rows)).tau;
    const result = await bootstrapInterval(["a", "b", "c"], tau, { random: Random.fromSeed(6), resamples: 900 });
    expect(result.undefinedResamples / 900).toBeCloseTo(1 / 9, 1);
    expect(result.low).toBeCloseTo(-1, 12);
    expect(result.high).toBeCloseTo(1, 12);
    const never = await bootstrapInterval(["a"], tau, { random: Random.fromSeed(6), resamples: 10 });
    expect(never).toMatchObject({ low: Number.NaN, high: Number.NaN, undefinedResamples: 10 });
  });

  test("no rows give no interval; a confidence of 95 is refused", async () => {
    const random = Random.fromSeed(7);
    expect(await bootstrapInterval([], meanOf([]), { random })).toMatchObject({
      estimate: Number.NaN,
      low: Number.NaN,
    });
    await expect(bootstrapInterval(["a"], meanOf([1]), { random, confidence: 95 })).rejects.toThrow(
      /between 0 and 1, got 95/,
    );
  });
});

describe("permutationTest", () => {
  test("tends to Kendall's exact p", async () => {
    const x = [1, 2, 3, 4, 5, 6, 7];
    const y = [2, 1, 4, 3, 7, 5, 6];
    const tau = (order: Int32Array) => kendallTau(x, pick(y, order)).tau;
    const result = await permutationTest(7, tau, { random: Random.fromSeed(9), permutations: 20_000 });
    expect(result.observed).toBe(kendallTau(x, y).tau);
    expect(Math.abs(result.p - kendallTau(x, y, "exact").p)).toBeLessThan(0.004);
  });

  test("counts by the alternative, ties as extreme, and never reaches zero", async () => {
    const slope = (order: Int32Array) => order.reduce((total, row, i) => total + (row - 1) * (i - 1), 0);
    const run = (alternative: "greater" | "less" | "two-sided") =>
      permutationTest(3, slope, { random: Random.fromSeed(10), permutations: 6000, alternative });
    expect((await run("greater")).p).toBeCloseTo(1 / 6, 1);
    expect((await run("two-sided")).p).toBeCloseTo(2 / 6, 1);
    expect((await run("less")).p).toBe(1);
    const rows = 40;
    const long = (order: Int32Array) => order.reduce((total, row, i) => total + row * i, 0);
    expect(
      await permutationTest(rows, long, { random: Random.fromSeed(11), permutations: 99, alternative: "greater" }),
    ).toMatchObject({ asExtreme: 0, p: 0.01 });
  });

  test("an undefined statistic has no p", async () => {
    const result = await permutationTest(2, () => Number.NaN, { random: Random.fromSeed(12), permutations: 9 });
    expect(result.p).toBeNaN();
  });
});
