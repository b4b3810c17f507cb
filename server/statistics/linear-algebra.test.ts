import { describe, expect, test } from "vitest";
import { expectAllClose, levels } from "../../test/unit/statistics/fixture.ts";
import {
  factor,
  meansOf,
  NonFiniteFeaturesError,
  NotPositiveDefiniteError,
  type RowMatrix,
  rowMatrix,
  rowProducts,
  type SymmetricMatrix,
  scatter,
} from "./linear-algebra.ts";
import { predictLinear } from "./linear-model.ts";

const SIZES = [
  [1, 1],
  [3, 2],
  [5, 7],
  [300, 9],
  [64, 33],
  [7, 300],
] as const;

/** Inner products of the centred columns, one pair at a time. */
function plainScatter({ data, rows, columns }: RowMatrix): number[] {
  const column = (j: number) => Array.from({ length: rows }, (_, i) => data[i * columns + j] ?? Number.NaN);
  const centred = Array.from({ length: columns }, (_, j) => {
    const values = column(j);
    const mean = values.reduce((a, b) => a + b, 0) / rows;
    return values.map((value) => value - mean);
  });
  return centred.flatMap((a, i) =>
    centred.slice(0, i + 1).map((b) => a.reduce((total, value, k) => total + value * (b[k] ?? Number.NaN), 0)),
  );
}

function triangle({ data, size, stride }: SymmetricMatrix): number[] {
  return Array.from({ length: size }, (_, i) => [...data.subarray(i * stride, i * stride + i + 1)]).flat();
}

function transposed({ data, rows, columns }: RowMatrix): RowMatrix {
  return rowMatrix(
    data.map((_, at) => data[(at % rows) * columns + Math.floor(at / rows)] ?? Number.NaN),
    columns,
    rows,
  );
}

describe("scatter and row products", () => {
  test.each(SIZES)("of %i x %i dense features equal the plain sums", async (rows, columns) => {
    const matrix = rowMatrix(levels(1, rows * columns, 1 / 64), rows, columns);
    expectAllClose(triangle(await scatter(matrix, meansOf(matrix))), plainScatter(matrix), 1e-13);
    const float32 = rowMatrix(Float32Array.from(matrix.data), rows, columns);
    expectAllClose(triangle(await scatter(float32, meansOf(float32))), plainScatter(matrix), 1e-13);
  });

  test.each(SIZES)("of the rows of %i x %i features equal the plain sums", async (rows, columns) => {
    const matrix = rowMatrix(levels(2, rows * columns, 1 / 64), rows, columns);
    const shifts = levels(3, columns, 1 / 64);
    const shifted = matrix.data.map((value, at) => value - (shifts[at % columns] ?? Number.NaN));
    const expected = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: i + 1 }, (_, j) =>
        Array.from(
          { length: columns },
          (_, k) => (shifted[i * columns + k] ?? 0) * (shifted[j * columns + k] ?? 0),
        ).reduce((a, b) => a + b, 0),
      ),
    ).flat();
    expectAllClose(triangle(await rowProducts(matrix, shifts)), expected, 1e-13);
  });

  test.each(SIZES)("of %i x %i sparse features, one column dense, equal the plain sums", async (rows, columns) => {
    const data = levels(4, rows * columns, 1 / 64).map((value, at) =>
      at % columns === 1 ? value + 1000 : Math.max(0, value - 1.7),
    );
    const matrix = rowMatrix(data, rows, columns);
    expectAllClose(triangle(await scatter(matrix, meansOf(matrix))), plainScatter(matrix), 1e-12);
  });

  test("means far from zero cost no digits", async () => {
    const small = levels(5, 400, 1 / 64);
    const expected = plainScatter(rowMatrix(small, 100, 4));
    const far = rowMatrix(
      small.map((value) => value + 2 ** 30),
      100,
      4,
    );
    expectAllClose(triangle(await scatter(far, meansOf(far))), expected, 1e-9);
  });
});

describe("factor", () => {
  test.each([1, 2, 3, 4, 5, 8, 31, 70])("solves a system of size %i", async (size) => {
    const matrix = rowMatrix(levels(6, 2 * size * size, 1 / 64), 2 * size, size);
    const expected = levels(7, size, 1 / 64);
    const product = predictLinear({ weights: expected, intercept: 0 }, matrix);
    const rightSide = predictLinear({ weights: product, intercept: 0 }, transposed(matrix)).map(
      (value, i) => value + 0.5 * (expected[i] ?? Number.NaN),
    );
    const kept = Float64Array.from(rightSide);
    const solve = await factor(await rowProducts(transposed(matrix), new Float64Array(2 * size)), 0.5);
    expectAllClose(solve(rightSide), [...expected], 1e-10);
    expect(rightSide).toEqual(kept);
  });

  test("refuses a singular matrix and says what to do", async () => {
    const repeated = rowMatrix(Float64Array.of(1, 1, 2, 2, 4, 4), 3, 2);
    const matrix = () => scatter(repeated, meansOf(repeated));
    await expect(factor(await matrix(), 0)).rejects.toThrow(NotPositiveDefiniteError);
    await expect(factor(await matrix(), 0)).rejects.toThrow(
      /2 x 2 normal matrix is singular at row 1 with penalty 0; raise the penalty/,
    );
    const solve = await factor(await matrix(), 1);
    expect(() => solve(new Float64Array(3))).toThrow(/must have 2 numbers, got 3/);
  });
});

test("features that are not finite are named, and sizes must fit", async () => {
  expect(() => meansOf(rowMatrix(Float32Array.of(1, 2, 3, Number.NaN), 2, 2))).toThrow(NonFiniteFeaturesError);
  expect(() => meansOf(rowMatrix(Float32Array.of(1, Number.POSITIVE_INFINITY), 1, 2))).toThrow(/column 1 of the 1 x 2/);
  expect(() => rowMatrix(new Float32Array(5), 2, 3)).toThrow(/2 rows of 3 numbers are 6 numbers, got 5/);
  expect(() => meansOf(rowMatrix(new Float32Array(0), 0, 3))).toThrow(/needs rows and columns/);
});
