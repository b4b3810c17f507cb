import { invariant, LfpError } from "../common/errors.ts";
import { Pacer } from "../common/pacer.ts";
import { addRow, emptyAssignment, innerProducts, unitRows } from "./assignment.loops.ts";

/** One matched pair of a cost matrix. */
export interface AssignedPair {
  readonly row: number;
  readonly column: number;
}

/** A cost is NaN or infinite. */
export class NonFiniteCostError extends LfpError {
  readonly code = "non-finite";
}

/**
 * Finds the assignment of least (or, if `maximise`, largest) total cost between `rows` rows and `columns` columns.
 *
 * Returns min(rows, columns) pairs, each row and column at most once, sorted by row. The total equals that of
 * `scipy.optimize.linear_sum_assignment`; among equally good assignments the choice may differ. Time grows with min²
 * · max. Throws `NonFiniteCostError`, and the reason of the pacer's signal.
 */
export async function assign(
  costs: Float64Array,
  rows: number,
  columns: number,
  { maximise = false, pacer = new Pacer() }: { readonly maximise?: boolean; readonly pacer?: Pacer } = {},
): Promise<AssignedPair[]> {
  invariant(costs.length === rows * columns, `${rows} x ${columns} costs are ${rows * columns}, got ${costs.length}`);
  const at = costs.findIndex((cost) => !Number.isFinite(cost));
  if (at >= 0)
    throw new NonFiniteCostError(
      `the cost of row ${Math.floor(at / columns)}, column ${at % columns} is ${costs[at]}; every cost must be a finite number`,
    );
  const sign = maximise ? -1 : 1;
  if (rows <= columns) {
    const signed = costs.map((cost) => sign * cost);
    const columnOf = await assignRows(signed, rows, columns, pacer);
    return Array.from(columnOf, (column, row) => ({ row, column }));
  }
  const transposed = costs.map((_, i) => sign * (costs[(i % rows) * columns + Math.floor(i / rows)] ?? Number.NaN));
  const rowOf = await assignRows(transposed, columns, rows, pacer);
  return Array.from(rowOf, (row, column) => ({ row, column })).sort((a, b) => a.row - b.row);
}

async function assignRows(costs: Float64Array, rows: number, columns: number, pacer: Pacer): Promise<Int32Array> {
  const assignment = emptyAssignment(rows, columns);
  for (let row = 0; row < rows; row++) {
    await pacer.pause();
    addRow(assignment, costs, row);
  }
  return assignment.columnOf;
}

/** A feature of the small dictionary, its partner in the big one, and the cosine of the angle between them. */
export interface FeatureMatch {
  readonly small: number;
  readonly big: number;
  readonly cosine: number;
}

export interface DictionarySimilarity {
  /** Mean matched cosine (MMCS); NaN for an empty small dictionary. */
  readonly mean: number;
  /** One match a small feature, the most similar first. */
  readonly matches: readonly FeatureMatch[];
}

/**
 * Mean max cosine similarity of two dictionaries of different size.
 *
 * Pairs every small feature with its own big feature so that the sum of cosines is largest (Hungarian assignment, as
 * the paper's `calculate_MMCS_hungarian`), and averages the matched cosines. Features are the rows: `smallFD` and
 * `bigFD` hold `d` numbers a feature, of any length; a feature of zeros has cosine 0 with everything. The small
 * dictionary must not be the larger one. Throws the reason of the pacer's signal.
 */
export async function meanMaxCosine(
  smallFD: Float32Array,
  bigFD: Float32Array,
  d: number,
  pacer: Pacer = new Pacer(),
): Promise<DictionarySimilarity> {
  const [small, big] = [smallFD.length / d, bigFD.length / d];
  invariant(
    Number.isInteger(small) && Number.isInteger(big) && small <= big,
    `two dictionaries of ${d} numbers a feature, the smaller one first, are expected; got ${smallFD.length} and ${bigFD.length} numbers`,
  );
  const [units, others] = [unitRows(smallFD, d), unitRows(bigFD, d)];
  const cosines = new Float64Array(small * big);
  for (let row = 0; row < small; row++) {
    await pacer.pause();
    cosines.set(innerProducts(units.subarray(row * d, (row + 1) * d), others, d), row * big);
  }
  const matches = (await assign(cosines, small, big, { maximise: true, pacer }))
    .map(({ row, column }) => ({ small: row, big: column, cosine: cosines[row * big + column] ?? Number.NaN }))
    .sort((a, b) => b.cosine - a.cosine || a.small - b.small);
  return { mean: matches.reduce((total, { cosine }) => total + cosine, 0) / small, matches };
}
