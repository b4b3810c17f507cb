/** (z - m)ᵀ M (z - m) for vectors z that are mostly zero. */

export interface CentredForm {
  /** [F (F + 1) / 2]: the lower triangle of the symmetric M, row after row. */
  readonly packed: Float32Array;
  /** M m [F] */
  readonly product: Float64Array;
  /** mᵀ M m */
  readonly constant: number;
}

/** Works out once what does not depend on z. */
export function centredForm(packed: Float32Array, means: Float32Array): CentredForm {
  const product = packedProduct(packed, means);
  let constant = 0;
  for (let j = 0; j < means.length; j++) constant += means[j]! * product[j]!;
  return { packed, product, constant };
}

/** Vectors, of which only what is not zero is kept: those of vector i stand at rowStarts[i] to rowStarts[i + 1], by ascending column. */
export interface SparseVectors {
  readonly rowStarts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

/**
 * The form at every vector. A row of M is used for all vectors that have its column, while it is at hand: vector by vector M would be fetched from
 * memory anew each time, which takes several times as long where it is larger than the caches.
 */
export function formsAt(
  { packed, product, constant }: CentredForm,
  { rowStarts, columns, values }: SparseVectors,
): Float64Array {
  const forms = new Float64Array(rowStarts.length - 1).fill(constant);
  const { starts, rows, places } = byColumn(product.length, rowStarts, columns);
  for (let i = 0; i < product.length; i++) {
    const start = (i * (i + 1)) / 2;
    for (let at = starts[i]!; at < starts[i + 1]!; at++) {
      const place = places[at]!;
      const value = values[place]!;
      let sum = -product[i]!;
      for (let b = rowStarts[rows[at]!]!; b < place; b++) sum += packed[start + columns[b]!]! * values[b]!;
      forms[rows[at]!] = forms[rows[at]!]! + value * (2 * sum + packed[start + i]! * value);
    }
  }
  // Rounding takes it below zero where a vector is m.
  return forms.map((form) => Math.max(0, form));
}

/** Which vectors have a column, and where: those of column i stand at starts[i] to starts[i + 1]. */
function byColumn(
  count: number,
  rowStarts: Int32Array,
  columns: Int32Array,
): { readonly starts: Int32Array; readonly rows: Int32Array; readonly places: Int32Array } {
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
