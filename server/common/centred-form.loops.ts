/** (z - m)ᵀ M (z - m) for vectors z that are mostly zero. */

export interface CentredForm {
  /** [F (F + 1) / 2]: the lower triangle of the symmetric M, row after row. */
  readonly packed: Float32Array;
  /** M m [F] */
  readonly product: Float64Array;
  /** mᵀ M m */
  readonly constant: number;
}

/** Precomputes the parts that do not depend on z. */
export function centredForm(packed: Float32Array, means: Float32Array): CentredForm {
  const product = packedProduct(packed, means);
  let constant = 0;
  for (let j = 0; j < means.length; j++) constant += means[j]! * product[j]!;
  return { packed, product, constant };
}

/** Sparse vectors: the entries of vector i are at rowStarts[i] to rowStarts[i + 1], by ascending column. */
export interface SparseVectors {
  readonly rowStarts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/** The form at every vector. */
export function formsAt(form: CentredForm, vectors: SparseVectors): Float64Array {
  const work = new FormsWork(form, vectors);
  while (!work.goOn(Number.POSITIVE_INFINITY));
  return work.forms;
}

/**
 * Evaluates the form at every vector, in pieces. It uses a row of M for all vectors that have its column while the row
 * is cached: vector by vector, M would be read from memory each time, which takes several times as long if M is larger
 * than the caches.
 */
export class FormsWork {
  /** Valid after `goOn` has returned true. */
  readonly forms: Float64Array;
  readonly #form: CentredForm;
  readonly #vectors: SparseVectors;
  readonly #places: ColumnPlaces;
  /** The current row of M, and the first place for which it has not been used. */
  #row = 0;
  #at = 0;

  constructor(form: CentredForm, vectors: SparseVectors) {
    this.#form = form;
    this.#vectors = vectors;
    this.#places = byColumn(form.product.length, vectors.rowStarts, vectors.columns);
    this.forms = new Float64Array(vectors.rowStarts.length - 1).fill(form.constant);
  }

  /** Continues for about this many multiplications; returns true when everything is done. */
  goOn(multiplications: number): boolean {
    const { packed, product } = this.#form;
    const { rowStarts, columns, values } = this.#vectors;
    const { starts, rows, places } = this.#places;
    const forms = this.forms;
    let left = multiplications;
    let at = this.#at;
    for (let i = this.#row; i < product.length; i++) {
      const start = (i * (i + 1)) / 2;
      for (; at < starts[i + 1]!; at++) {
        if (left <= 0) {
          [this.#row, this.#at] = [i, at];
          return false;
        }
        const place = places[at]!;
        const value = values[place]!;
        const first = rowStarts[rows[at]!]!;
        let sum = -product[i]!;
        for (let b = first; b < place; b++) sum += packed[start + columns[b]!]! * values[b]!;
        forms[rows[at]!] = forms[rows[at]!]! + value * (2 * sum + packed[start + i]! * value);
        left -= place - first + 1;
      }
    }
    [this.#row, this.#at] = [product.length, at];
    // Rounding can make it negative for a vector equal to m.
    for (let row = 0; row < forms.length; row++) forms[row] = Math.max(0, forms[row]!);
    return true;
  }
}

interface ColumnPlaces {
  readonly starts: Int32Array;
  readonly rows: Int32Array;
  readonly places: Int32Array;
}

/**
 * The vectors that have each column, and the places of their entries: those of column i are at starts[i] to starts[i +
 * 1].
 */
function byColumn(count: number, rowStarts: Int32Array, columns: Int32Array): ColumnPlaces {
  const starts = new Int32Array(count + 1);
  for (let place = 0; place < columns.length; place++) starts[columns[place]! + 1]! += 1;
  for (let i = 0; i < count; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice(0, count);
  const [rows, places] = [new Int32Array(columns.length), new Int32Array(columns.length)];
  for (let row = 0; row + 1 < rowStarts.length; row++) {
    for (let place = rowStarts[row]!; place < rowStarts[row + 1]!; place++) {
      const at = next[columns[place]!]!++;
      rows[at] = row;
      places[at] = place;
    }
  }
  return { starts, rows, places };
}

function packedProduct(packed: Float32Array, v: Float32Array): Float64Array {
  const product = new Float64Array(v.length);
  let at = 0;
  for (let i = 0; i < v.length; i++) {
    let sum = 0;
    for (let j = 0; j < i; j++) {
      const element = packed[at++]!;
      sum += element * v[j]!;
      product[j] = product[j]! + element * v[i]!;
    }
    product[i] = product[i]! + sum + packed[at++]! * v[i]!;
  }
  return product;
}
