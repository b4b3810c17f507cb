/** Loops of the assignment. Letters: r rows and c columns of costs, r <= c, in row-major order. */

/** The rows assigned so far, and the state for assigning the next ones. */
export interface Assignment {
  /** The column of every row; -1 for an unassigned row. */
  readonly columnOf: Int32Array;
  readonly rowOf: Int32Array;
  readonly rowPrice: Float64Array;
  readonly columnPrice: Float64Array;
  readonly distance: Float64Array;
  readonly cameFrom: Int32Array;
  readonly open: Int32Array;
}

/** An assignment without any assigned row. */
export function emptyAssignment(r: number, c: number): Assignment {
  return {
    columnOf: new Int32Array(r).fill(-1),
    rowOf: new Int32Array(c).fill(-1),
    rowPrice: new Float64Array(r),
    columnPrice: new Float64Array(c),
    distance: new Float64Array(c),
    cameFrom: new Int32Array(c),
    open: new Int32Array(c),
  };
}

/**
 * Assigns one more row, after all rows before it. Once all rows are added, they have the assignment of least total
 * cost, each column used at most once: shortest augmenting paths with dual prices (Jonker and Volgenant 1987,
 * doi:10.1007/BF02278710, in the rectangular form of Crouse 2016, doi:10.1109/TAES.2016.140952). O(r c) a row.
 */
export function addRow(assignment: Assignment, costRC: Float64Array, start: number): void {
  const { columnOf, rowOf, rowPrice, columnPrice, distance, cameFrom, open } = assignment;
  const c = rowOf.length;
  for (let k = 0; k < c; k++) open[k] = k;
  distance.fill(Number.POSITIVE_INFINITY);
  let openCount = c;
  let row = start;
  let reached = 0;
  let sink = -1;
  while (sink < 0) {
    const offset = reached - rowPrice[row]!;
    let best = Number.POSITIVE_INFINITY;
    let bestAt = 0;
    for (let k = 0; k < openCount; k++) {
      const column = open[k]!;
      const through = offset + costRC[row * c + column]! - columnPrice[column]!;
      if (through < distance[column]!) {
        distance[column] = through;
        cameFrom[column] = row;
      }
      const length = distance[column]!;
      if (length < best || (length === best && rowOf[column] === -1)) {
        best = length;
        bestAt = k;
      }
    }
    reached = best;
    const column = open[bestAt]!;
    open[bestAt] = open[--openCount]!;
    open[openCount] = column;
    if (rowOf[column] === -1) sink = column;
    else row = rowOf[column]!;
  }
  rowPrice[start]! += reached;
  for (let k = openCount; k < c; k++) {
    const column = open[k]!;
    const slack = reached - distance[column]!;
    columnPrice[column]! -= slack;
    if (column !== sink) rowPrice[rowOf[column]!]! += slack;
  }
  for (let column = sink, at = -1; at !== start; ) {
    at = cameFrom[column]!;
    rowOf[column] = at;
    const freed = columnOf[at]!;
    columnOf[at] = column;
    column = freed;
  }
}

/** Rows of d numbers scaled to unit length, in float64; rows of zeros stay zero. */
export function unitRows(rows: Float32Array, d: number): Float64Array {
  const unit = new Float64Array(rows.length);
  for (let row = 0; row < rows.length; row += d) {
    let squares = 0;
    for (let k = 0; k < d; k++) squares += rows[row + k]! * rows[row + k]!;
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let k = 0; k < d; k++) unit[row + k] = rows[row + k]! * scale;
  }
  return unit;
}

/**
 * All inner products of the rows of a with the rows of b (d numbers each): row i of the result belongs to row i of
 * a.
 */
export function innerProducts(a: Float64Array, b: Float64Array, d: number): Float64Array {
  const columns = b.length / d;
  const out = new Float64Array((a.length / d) * columns);
  for (let i = 0, at = 0; i < a.length; i += d) {
    let j = 0;
    for (; j + 3 * d < b.length; j += 4 * d, at += 4) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let k = 0; k < d; k++) {
        const x = a[i + k]!;
        s0 += x * b[j + k]!;
        s1 += x * b[j + d + k]!;
        s2 += x * b[j + 2 * d + k]!;
        s3 += x * b[j + 3 * d + k]!;
      }
      out[at] = s0;
      out[at + 1] = s1;
      out[at + 2] = s2;
      out[at + 3] = s3;
    }
    for (; j < b.length; j += d, at++) {
      let s = 0;
      for (let k = 0; k < d; k++) s += a[i + k]! * b[j + k]!;
      out[at] = s;
    }
  }
  return out;
}
