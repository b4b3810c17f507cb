/** References for the kernels of bags.ts: plain loops in double precision. */
import type { BagShape } from "./bags.ts";

export function embeddingBagReference(
  table: Float32Array,
  ids: Int32Array,
  weights: Float32Array,
  { rows, each, width }: BagShape,
): Float64Array {
  const y = new Float64Array(rows * width);
  for (let at = 0; at < ids.length; at++)
    for (let d = 0; d < width; d++)
      y[Math.floor(at / each) * width + d]! += weights[at]! * table[ids[at]! * width + d]!;
  return y;
}

export function bagDotsReference(
  table: Float32Array,
  ids: Int32Array,
  dY: Float32Array,
  { rows, each, width }: BagShape,
): Float64Array {
  const y = new Float64Array(rows * each);
  for (let at = 0; at < ids.length; at++)
    for (let d = 0; d < width; d++) y[at]! += table[ids[at]! * width + d]! * dY[Math.floor(at / each) * width + d]!;
  return y;
}

export function addBagsReference(
  table: Float32Array,
  ids: Int32Array,
  weights: Float32Array,
  dY: Float32Array,
  { each, width }: BagShape,
): Float64Array {
  const y = Float64Array.from(table);
  for (let at = 0; at < ids.length; at++)
    for (let d = 0; d < width; d++) y[ids[at]! * width + d]! += weights[at]! * dY[Math.floor(at / each) * width + d]!;
  return y;
}
