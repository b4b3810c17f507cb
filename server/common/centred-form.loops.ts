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

/** The form at the z that has `values[from]` to `values[to - 1]` at `columns[from]` to `columns[to - 1]`, ascending, and zeros elsewhere. */
export function formAt(
  { packed, product, constant }: CentredForm,
  columns: Int32Array,
  values: Float32Array,
  from: number,
  to: number,
): number {
  let form = constant;
  for (let a = from; a < to; a++) {
    const i = columns[a]!;
    const start = (i * (i + 1)) / 2;
    let sum = -product[i]!;
    for (let b = from; b < a; b++) sum += packed[start + columns[b]!]! * values[b]!;
    form += values[a]! * (2 * sum + packed[start + i]! * values[a]!);
  }
  // Rounding takes it below zero where z is m.
  return Math.max(0, form);
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
