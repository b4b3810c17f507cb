import { invariant, LfpError } from "../common/errors.ts";
import { Pacer } from "../common/pacer.ts";
import {
  addSparseProducts,
  columnMeans,
  DEPTH,
  type Floats,
  factorTileRow,
  packPanels,
  solveInPlace,
  subtractOuter,
  TILE,
  type VectorSet,
  zerosByColumn,
} from "./linear-algebra.loops.ts";
import { withTileProducts } from "./tile-products.ts";

/** `rows` rows of `columns` numbers, in row-major order. */
export interface RowMatrix {
  readonly data: Floats;
  readonly rows: number;
  readonly columns: number;
}

/** A symmetric matrix, stored as its lower triangle: element (i, j <= i) is `data[i * stride + j]`. */
export interface SymmetricMatrix {
  readonly data: Float64Array;
  readonly size: number;
  readonly stride: number;
}

/** A matrix that must be positive definite is not: columns depend on each other and no penalty separates them. */
export class NotPositiveDefiniteError extends LfpError {
  readonly code = "input";
}

/** A feature matrix holds NaN or an infinity. */
export class NonFiniteFeaturesError extends LfpError {
  readonly code = "non-finite";
}

/** A matrix over existing numbers, which are not copied. */
export function rowMatrix(data: Floats, rows: number, columns: number): RowMatrix {
  invariant(
    data.length === rows * columns,
    `${rows} rows of ${columns} numbers are ${rows * columns} numbers, got ${data.length}`,
  );
  return { data, rows, columns };
}

/** The mean of every column. Throws `NonFiniteFeaturesError` where a column holds NaN or an infinity. */
export function meansOf({ data, rows, columns }: RowMatrix): Float64Array {
  invariant(rows > 0 && columns > 0, `a mean needs rows and columns, got ${rows} and ${columns}`);
  const means = columnMeans(data, columns);
  const at = means.findIndex((mean) => !Number.isFinite(mean));
  if (at >= 0)
    throw new NonFiniteFeaturesError(
      `column ${at} of the ${rows} x ${columns} features holds a number that is not finite; mend what computed it`,
    );
  return means;
}

/**
 * The scatter matrix (X - means)ᵀ (X - means), of size `columns`. Exploits exact zeros: features of sparse
 * autoencoders are mostly zero, and then it multiplies only pairs of active features. Throws the reason of the
 * pacer's signal.
 */
export async function scatter(
  matrix: RowMatrix,
  means: Float64Array,
  pacer: Pacer = new Pacer(),
): Promise<SymmetricMatrix> {
  const { data, rows, columns } = matrix;
  const zeros = zerosByColumn(data, columns);
  const mostlyZero = zeros.map((count) => (2 * count >= rows ? 1 : 0));
  const skipped = zeros.reduce((total, count, j) => total + (mostlyZero[j] === 1 ? count : 0), 0);
  if (skipped < SPARSE_SHARE * rows * columns)
    return await innerProducts(
      {
        data,
        count: columns,
        depth: rows,
        vectorStride: 1,
        depthStride: columns,
        shifts: means,
        shiftBy: "vector",
      },
      pacer,
    );
  return await sparseScatter(matrix, means, mostlyZero, pacer);
}

/** (X - means) (X - means)ᵀ, of size `rows`: the inner products of the rows. Throws the reason of the pacer's signal. */
export async function rowProducts(
  { data, rows, columns }: RowMatrix,
  means: Float64Array,
  pacer: Pacer = new Pacer(),
): Promise<SymmetricMatrix> {
  return await innerProducts(
    {
      data,
      count: rows,
      depth: columns,
      vectorStride: columns,
      depthStride: 1,
      shifts: means,
      shiftBy: "place",
    },
    pacer,
  );
}

/** Solves A x = b for the factored matrix; does not change `b`. */
export type Solver = (b: Float64Array) => Float64Array;

/**
 * Factors A + penalty I by Cholesky, overwriting A. Throws `NotPositiveDefiniteError` when a pivot is lost in
 * rounding (at or below size * 2^-52 of its diagonal element): no digit of a solution would be right. Throws the
 * reason of the pacer's signal.
 */
export async function factor(matrix: SymmetricMatrix, penalty: number, pacer: Pacer = new Pacer()): Promise<Solver> {
  const { data, size, stride } = matrix;
  for (let i = 0; i < size; i++) data[i * stride + i] = (data[i * stride + i] ?? 0) + penalty;
  for (let i = size; i < stride; i++) data[i * stride + i] = 1;
  for (let i = 0; i < stride; i += TILE) {
    await pacer.pause();
    const failed = factorTileRow(data, stride, i, size * Number.EPSILON);
    if (failed >= 0)
      throw new NotPositiveDefiniteError(
        `the ${size} x ${size} normal matrix is singular at row ${failed} with penalty ${penalty}; raise the penalty, or drop constant and repeated columns`,
      );
  }
  return (b) => {
    invariant(b.length === size, `a right side for size ${size} must have ${size} numbers, got ${b.length}`);
    const x = Float64Array.from(b);
    solveInPlace(data, stride, x);
    return x;
  };
}

/** Sparsity threshold: from this share of skippable numbers on, the sparse loop is faster. */
const SPARSE_SHARE = 0.7;
/** Number of rows between two pauses of the pacer. */
export const ROWS_AT_ONCE = 32;

/** Inner products of all pairs of vectors. */
async function innerProducts(vectors: VectorSet, pacer: Pacer): Promise<SymmetricMatrix> {
  const matrix = zeroTriangle(vectors.count);
  await withTileProducts(matrix.stride, async (products) => {
    // The places of vectors that fill up the last tile.
    products.panels.fill(0, (matrix.stride - TILE) * DEPTH, matrix.stride * DEPTH);
    for (let from = 0; from < vectors.depth; from += DEPTH) {
      const depth = Math.min(DEPTH, vectors.depth - from);
      packPanels(products.panels, vectors, from, depth);
      for (let i = 0; i < matrix.stride; i += TILE) {
        await pacer.pause();
        products.addTileRow(matrix.data, matrix.stride, i, depth);
      }
    }
  });
  return matrix;
}

/**
 * Columns that are mostly zero are not shifted while multiplying; n mean_i mean_j is subtracted afterwards. For such
 * columns n mean² is at most half the sum of squares (Cauchy and Schwarz), so the subtraction costs no more than a
 * digit.
 */
async function sparseScatter(
  { data, rows, columns }: RowMatrix,
  means: Float64Array,
  mostlyZero: Float64Array,
  pacer: Pacer,
): Promise<SymmetricMatrix> {
  const matrix = zeroTriangle(columns);
  const shifts = means.map((mean, j) => (mostlyZero[j] === 1 ? 0 : mean));
  for (let row = 0; row < rows; row += ROWS_AT_ONCE) {
    await pacer.pause();
    const some = data.subarray(row * columns, (row + ROWS_AT_ONCE) * columns);
    addSparseProducts(matrix.data, matrix.stride, some, columns, shifts);
  }
  const rests = means.map((mean, j) => mean - (shifts[j] ?? 0));
  subtractOuter(matrix.data, matrix.stride, rests, rows);
  return matrix;
}

function zeroTriangle(size: number): SymmetricMatrix {
  const stride = Math.ceil(size / TILE) * TILE;
  return { data: new Float64Array(stride * stride), size, stride };
}
