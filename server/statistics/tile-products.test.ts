import { expect, test } from "vitest";
import { Random } from "../common/random.ts";
import { DEPTH } from "./linear-algebra.loops.ts";
import { type RowMatrix, rowMatrix, rowProducts, type SymmetricMatrix } from "./linear-algebra.ts";

/** Random rows of a size that fills neither the last tile nor the last stretch of DEPTH places. */
const sizes = [
  { rows: 1, columns: 3 },
  { rows: 7, columns: 2 * DEPTH + 5 },
  { rows: 30, columns: DEPTH - 1 },
  { rows: 10, columns: DEPTH },
] as const;

test.each(sizes)("$rows x $columns: every product is that of plain loops, to the bit", async ({ rows, columns }) => {
  const matrix = random(rows, columns);
  expect(lowerOf(await products(matrix))).toEqual(plainProducts(matrix));
});

test("products of several matrices at a time do not meet", async () => {
  const all = sizes.map(({ rows, columns }) => random(rows, columns));
  const together = await Promise.all(all.map(products));
  for (const [at, matrix] of all.entries()) {
    expect(lowerOf(together[at] ?? empty)).toEqual(plainProducts(matrix));
    // What a larger matrix left in memory that is used again reaches no other.
    expect((await products(matrix)).data).toEqual(together[at]?.data);
  }
});

const empty: SymmetricMatrix = { data: new Float64Array(), size: 0, stride: 0 };

function products(matrix: RowMatrix): Promise<SymmetricMatrix> {
  return rowProducts(matrix, new Float64Array(matrix.columns));
}

function random(rows: number, columns: number): RowMatrix {
  const draw = Random.fromSeed(rows);
  return rowMatrix(
    new Float64Array(rows * columns).map(() => draw.normal()),
    rows,
    columns,
  );
}

function lowerOf({ data, size, stride }: SymmetricMatrix): number[][] {
  return Array.from({ length: size }, (_, i) => [...data.subarray(i * stride, i * stride + i + 1)]);
}

/** Sums of DEPTH products at a time, one after another. */
function plainProducts({ data, rows, columns }: RowMatrix): number[][] {
  const product = (i: number, j: number): number => {
    let total = 0;
    for (let from = 0; from < columns; from += DEPTH) {
      let sum = 0;
      for (let t = from; t < Math.min(columns, from + DEPTH); t++)
        sum += (data[i * columns + t] ?? 0) * (data[j * columns + t] ?? 0);
      total += sum;
    }
    return total;
  };
  return Array.from({ length: rows }, (_, i) => Array.from({ length: i + 1 }, (_, j) => product(i, j)));
}
