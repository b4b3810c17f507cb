/** For each row of `aAD`, the row of `bBD` with the largest inner product. Rows have unit length, as decoders' do. */
export function nearestRows(
  aAD: Float32Array,
  bBD: Float32Array,
  d: number,
): { readonly rows: Uint32Array; readonly cosines: Float32Array } {
  const A = aAD.length / d;
  const rows = new Uint32Array(A);
  const cosines = new Float32Array(A).fill(-1);
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < bBD.length / d; b++) {
      let product = 0;
      for (let k = 0; k < d; k++) product += aAD[a * d + k]! * bBD[b * d + k]!;
      if (product > cosines[a]!) {
        cosines[a] = product;
        rows[a] = b;
      }
    }
  }
  return { rows, cosines };
}
