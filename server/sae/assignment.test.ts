import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectAllClose, expectClose, fixture, levels } from "../../test/unit/statistics/fixture.ts";
import { type AssignedPair, assign, meanMaxCosine, NonFiniteCostError } from "./assignment.ts";

const stored = fixture("assignment");

function totalOf(pairs: readonly AssignedPair[], costs: ArrayLike<number>, columns: number): number {
  return pairs.reduce((total, { row, column }) => total + (costs[row * columns + column] ?? Number.NaN), 0);
}

function expectOneToOne(pairs: readonly AssignedPair[], rows: number, columns: number): void {
  expect(pairs.length).toBe(Math.min(rows, columns));
  expect(new Set(pairs.map(({ row }) => row)).size).toBe(pairs.length);
  expect(new Set(pairs.map(({ column }) => column)).size).toBe(pairs.length);
  expect(pairs.every(({ row, column }) => row >= 0 && row < rows && column >= 0 && column < columns)).toBe(true);
  expect(pairs.map(({ row }) => row)).toEqual(pairs.map(({ row }) => row).sort((a, b) => a - b));
}

describe("assign", () => {
  test.each(stored.assignment)(
    "reaches scipy's total: $name, $rows x $columns",
    async ({ rows, columns, cost, minimum, maximum }) => {
      for (const [maximise, expected] of [[false, minimum] as const, [true, maximum] as const]) {
        const pairs = await assign(Float64Array.from(cost), rows, columns, { maximise });
        expectOneToOne(pairs, rows, columns);
        expectClose(totalOf(pairs, cost, columns), expected, 1e-13, 1);
      }
    },
  );

  test.each(stored.generatedAssignment)(
    "reaches scipy's total on $rows x $columns in steps of $step",
    async (entry) => {
      const { rows, columns, step, seed, minimum } = entry;
      const cost = levels(seed, rows * columns, step);
      const pairs = await assign(cost, rows, columns);
      expectOneToOne(pairs, rows, columns);
      expectClose(totalOf(pairs, cost, columns), minimum, 1e-12);
    },
  );

  test("is never beaten by any order of the columns", async () => {
    const size = fc.integer({ min: 1, max: 5 });
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 25, maxLength: 25 }),
        async (rows, columns, all) => {
          const cost = Float64Array.from(all.slice(0, rows * columns));
          const pairs = await assign(cost, rows, columns);
          expectOneToOne(pairs, rows, columns);
          expect(totalOf(pairs, cost, columns)).toBe(leastTotal(cost, rows, columns, 0, new Set()));
        },
      ),
    );
  });

  test("leaves its costs alone and refuses those that are not finite", async () => {
    const cost = Float64Array.of(1, 2, 3, 5);
    await assign(cost, 2, 2, { maximise: true });
    expect(cost).toEqual(Float64Array.of(1, 2, 3, 5));
    await expect(assign(Float64Array.of(1, Number.NaN), 1, 2)).rejects.toThrow(NonFiniteCostError);
    await expect(assign(Float64Array.of(1, 2, 3, Number.POSITIVE_INFINITY), 2, 2)).rejects.toThrow(
      /row 1, column 1 is Infinity/,
    );
    await expect(assign(cost, 2, 3)).rejects.toThrow(/2 x 3 costs are 6, got 4/);
  });
});

describe("meanMaxCosine", () => {
  test.each(stored.similarity)(
    "equals numpy and scipy: $small and $big features of $d",
    async ({ small, big, d, seed, mean, matches }) => {
      const smallFD = Float32Array.from(levels(seed, small * d, 1 / 64));
      const bigFD = Float32Array.from(levels(seed + 1000, big * d, 1 / 64));
      const found = await meanMaxCosine(smallFD, bigFD, d);
      expectClose(found.mean, mean, 1e-12);
      expect(found.matches.map((match) => [match.small, match.big])).toEqual(matches.map(([a, b]) => [a, b]));
      expectAllClose(
        found.matches.map(({ cosine }) => cosine),
        matches.map(([, , cosine]) => cosine),
        1e-12,
      );
    },
  );

  test("finds scaled and shuffled copies, and gives each big feature to one small feature only", async () => {
    const bigFD = Float32Array.of(0, 3, 0, 0, 0, 5, 7, 0, 0);
    expect(await meanMaxCosine(Float32Array.of(1, 0, 0, 0, 1, 0), bigFD, 3)).toEqual({
      mean: 1,
      matches: [
        { small: 0, big: 2, cosine: 1 },
        { small: 1, big: 0, cosine: 1 },
      ],
    });
    const twice = await meanMaxCosine(Float32Array.of(1, 0, 0, 2, 0, 0), bigFD, 3);
    expect(twice.matches.map(({ cosine }) => cosine)).toEqual([1, 0]);
  });

  test("a feature of zeros matches at cosine 0; no features have no mean", async () => {
    expect(await meanMaxCosine(Float32Array.of(0, 0), Float32Array.of(1, 0), 2)).toMatchObject({ mean: 0 });
    expect(await meanMaxCosine(new Float32Array(0), Float32Array.of(1, 0), 2)).toEqual({
      mean: Number.NaN,
      matches: [],
    });
  });

  test("refuses the larger dictionary first, and sizes that do not divide", async () => {
    await expect(meanMaxCosine(new Float32Array(4), new Float32Array(2), 2)).rejects.toThrow(/smaller one first/);
    await expect(meanMaxCosine(new Float32Array(3), new Float32Array(4), 2)).rejects.toThrow(/got 3 and 4 numbers/);
    await expect(meanMaxCosine(Float32Array.of(Number.NaN, 1), new Float32Array(4), 2)).rejects.toThrow(
      NonFiniteCostError,
    );
  });
});

/** The least total by trying everything. */
function leastTotal(cost: Float64Array, rows: number, columns: number, row: number, used: Set<number>): number {
  if (row === rows) return used.size === Math.min(rows, columns) ? 0 : Number.POSITIVE_INFINITY;
  let least = rows > columns ? leastTotal(cost, rows, columns, row + 1, used) : Number.POSITIVE_INFINITY;
  for (let column = 0; column < columns; column++) {
    if (used.has(column)) continue;
    const rest = leastTotal(cost, rows, columns, row + 1, new Set([...used, column]));
    least = Math.min(least, (cost[row * columns + column] ?? Number.NaN) + rest);
  }
  return least;
}
