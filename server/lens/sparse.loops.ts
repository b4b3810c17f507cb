/** Loops over features: rows that are mostly zero, stored as columns and values. */

/** Rows of features, N of them: the active columns of row i are at rowStarts[i] to rowStarts[i + 1], ascending. */
export interface SparseRows {
  /** [N + 1] */
  readonly rowStarts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** Builds rows one by one; `finish` returns arrays of the exact size. */
export class SparseBuilder {
  #rowStarts = new Int32Array(256);
  #columns = new Int32Array(4096);
  #values = new Float32Array(4096);
  #rows = 0;
  #count = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Appends to the current row the non-zeros of `width` values from `at`, at columns from `firstColumn` on. */
  addDense(source: Float32Array, at: number, width: number, firstColumn: number): void {
    this.#reserve(width);
    let count = this.#count;
    for (let j = 0; j < width; j++) {
      const value = source[at + j]!;
      if (value === 0) continue;
      this.#columns[count] = firstColumn + j;
      this.#values[count] = value;
      count += 1;
    }
    this.#count = count;
  }

  /** Appends to the current row the mean of rows `from` to `to` (excluded) of another matrix. */
  addMean({ rowStarts, columns, values }: SparseRows, from: number, to: number): void {
    const [start, end] = [rowStarts[from]!, rowStarts[to]!];
    this.#reserve(end - start);
    if (to === from + 1) {
      this.#columns.set(columns.subarray(start, end), this.#count);
      this.#values.set(values.subarray(start, end), this.#count);
      this.#count += end - start;
      return;
    }
    const sums = new Map<number, number>();
    for (let at = start; at < end; at++) sums.set(columns[at]!, (sums.get(columns[at]!) ?? 0) + values[at]!);
    for (const [column, sum] of [...sums].sort(([a], [b]) => a - b)) {
      this.#columns[this.#count] = column;
      this.#values[this.#count] = sum / (to - from);
      this.#count += 1;
    }
  }

  endRow(): void {
    if (this.#rows + 2 > this.#rowStarts.length) this.#rowStarts = grown(this.#rowStarts, this.#rows + 2);
    this.#rows += 1;
    this.#rowStarts[this.#rows] = this.#count;
  }

  finish(): SparseRows {
    return {
      rowStarts: this.#rowStarts.slice(0, this.#rows + 1),
      columns: this.#columns.slice(0, this.#count),
      values: this.#values.slice(0, this.#count),
    };
  }

  #reserve(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#columns.length) return;
    this.#columns = grown(this.#columns, needed);
    const values = new Float32Array(this.#columns.length);
    values.set(this.#values);
    this.#values = values;
  }
}

/** intercept + weights · row, for every row, in double precision. */
export function rowScores(
  { rowStarts, columns, values }: SparseRows,
  weights: Float64Array,
  intercept: number,
): Float64Array {
  const scores = new Float64Array(rowStarts.length - 1);
  for (let row = 0; row < scores.length; row++) {
    let sum = intercept;
    for (let at = rowStarts[row]!; at < rowStarts[row + 1]!; at++) sum += weights[columns[at]!]! * values[at]!;
    scores[row] = sum;
  }
  return scores;
}

/** One column of every row, 0 where it is not active. */
export function columnOf({ rowStarts, columns, values }: SparseRows, column: number): Float64Array {
  const result = new Float64Array(rowStarts.length - 1);
  for (let row = 0; row < result.length; row++) {
    for (let at = rowStarts[row]!; at < rowStarts[row + 1]!; at++) {
      if (columns[at] !== column) continue;
      result[row] = values[at]!;
      break;
    }
  }
  return result;
}

function grown(array: Int32Array<ArrayBuffer>, atLeast: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(atLeast, 2 * array.length));
  larger.set(array);
  return larger;
}
