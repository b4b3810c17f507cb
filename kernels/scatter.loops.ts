/** References for the kernels of scatter.ts: plain loops in double precision. */

export function addRowsReference(
  table: Float32Array,
  ids: Int32Array,
  rows: Float32Array,
  width: number,
): Float64Array {
  const y = Float64Array.from(table);
  for (let at = 0; at < ids.length; at++)
    for (let d = 0; d < width; d++) y[ids[at]! * width + d]! += rows[at * width + d]!;
  return y;
}

export function scatterRowReference(values: Float32Array, ids: Int32Array, k: number, width: number): Float64Array {
  const y = new Float64Array((values.length / k) * width);
  for (let at = 0; at < values.length; at++) y[Math.floor(at / k) * width + ids[at]!]! += values[at]!;
  return y;
}
