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
 * Evaluates the form at every vector, in pieces. It uses some rows of M for all vectors while these rows are cached:
 * vector by vector, M would be read from memory each time, which takes several times as long if M is larger than the
 * caches.
 */
export class FormsWork {
  /** Valid after `goOn` has returned true. */
  readonly forms: Float64Array;
  readonly #form: CentredForm;
  readonly #vectors: SparseVectors;
  /** Of every vector, the first entry whose row of M has not been used. */
  readonly #next: Int32Array;
  /** The first row of the current block of M, and the first vector for which the block has not been used. */
  #block = 0;
  #vector = 0;

  constructor(form: CentredForm, vectors: SparseVectors) {
    this.#form = form;
    this.#vectors = vectors;
    this.#next = vectors.rowStarts.slice();
    this.forms = new Float64Array(vectors.rowStarts.length - 1).fill(form.constant);
  }

  /** Continues for about this many multiplications; returns true when everything is done. */
  goOn(multiplications: number): boolean {
    const forms = this.forms;
    let left = multiplications;
    for (; this.#block < this.#form.product.length; this.#block += BLOCK_ROWS) {
      for (; this.#vector < forms.length; this.#vector++) {
        if (left <= 0) return false;
        left -= this.#addBlock(this.#vector, this.#block + BLOCK_ROWS);
      }
      this.#vector = 0;
    }
    // Rounding can make it negative for a vector equal to m.
    for (let row = 0; row < forms.length; row++) forms[row] = Math.max(0, forms[row]!);
    return true;
  }

  /** Adds to a vector's form what its next entries before column `end` contribute; returns the number of multiplications. */
  #addBlock(vector: number, end: number): number {
    const { columns, rowStarts } = this.#vectors;
    const [first, from, last] = [rowStarts[vector]!, this.#next[vector]!, rowStarts[vector + 1]!];
    let to = from;
    while (to < last && columns[to]! < end) to++;
    this.#next[vector] = to;
    let form = this.forms[vector]!;
    let place = from;
    for (; place + 3 < to; place += 4) form = this.#withFour(form, first, place);
    for (; place < to; place++) form = this.#withOne(form, first, place);
    this.forms[vector] = form;
    return (to - from) * (to - first + 1);
  }

  /** `form` plus what the entry at `place` contributes with those from `first` on before it. */
  #withOne(form: number, first: number, place: number): number {
    const { packed, product } = this.#form;
    const { columns, values } = this.#vectors;
    const i = columns[place]!;
    const start = (i * (i + 1)) / 2;
    const value = values[place]!;
    let sum = -product[i]!;
    for (let b = first; b < place; b++) sum += packed[start + columns[b]!]! * values[b]!;
    return form + value * (2 * sum + packed[start + i]! * value);
  }

  /**
   * `form` plus what the four entries from `place` on contribute, in the same order of additions as by `withOne`. Reading each
   * entry once for four rows takes half the time.
   */
  #withFour(form: number, first: number, place: number): number {
    const { packed, product } = this.#form;
    const { columns, values } = this.#vectors;
    const [i0, i1, i2, i3] = [columns[place]!, columns[place + 1]!, columns[place + 2]!, columns[place + 3]!];
    const start0 = (i0 * (i0 + 1)) / 2;
    const start1 = (i1 * (i1 + 1)) / 2;
    const start2 = (i2 * (i2 + 1)) / 2;
    const start3 = (i3 * (i3 + 1)) / 2;
    let [sum0, sum1, sum2, sum3] = [-product[i0]!, -product[i1]!, -product[i2]!, -product[i3]!];
    for (let b = first; b < place; b++) {
      const column = columns[b]!;
      const value = values[b]!;
      sum0 += packed[start0 + column]! * value;
      sum1 += packed[start1 + column]! * value;
      sum2 += packed[start2 + column]! * value;
      sum3 += packed[start3 + column]! * value;
    }
    const [v0, v1, v2, v3] = [values[place]!, values[place + 1]!, values[place + 2]!, values[place + 3]!];
    sum1 += packed[start1 + i0]! * v0;
    sum2 += packed[start2 + i0]! * v0;
    sum2 += packed[start2 + i1]! * v1;
    sum3 += packed[start3 + i0]! * v0;
    sum3 += packed[start3 + i1]! * v1;
    sum3 += packed[start3 + i2]! * v2;
    let result = form + v0 * (2 * sum0 + packed[start0 + i0]! * v0);
    result += v1 * (2 * sum1 + packed[start1 + i1]! * v1);
    result += v2 * (2 * sum2 + packed[start2 + i2]! * v2);
    return result + v3 * (2 * sum3 + packed[start3 + i3]! * v3);
  }
}

/** Rows of M that are used together: a megabyte or so at the width of a usual probe. */
const BLOCK_ROWS = 128;

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
