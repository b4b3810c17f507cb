export interface ProductShape {
  readonly out: number;
  readonly inputs: number;
  readonly rank: number;
  readonly scale: number;
}

/** weight [out, inputs] += scale * b [out, rank] @ a [rank, inputs]; the rank is small, so plain loops do. */
export function addScaledProduct(
  weight: Float32Array,
  b: Float32Array,
  a: Float32Array,
  { out, inputs, rank, scale }: ProductShape,
): void {
  for (let o = 0; o < out; o++) {
    for (let r = 0; r < rank; r++) {
      const factor = scale * b[o * rank + r]!;
      for (let i = 0; i < inputs; i++) weight[o * inputs + i]! += factor * a[r * inputs + i]!;
    }
  }
}

/** Frobenius norm of scale * b [out, rank] @ a [rank, inputs], by way of the two Gram matrices [rank, rank]. */
export function productNorm(b: Float32Array, a: Float32Array, { out, inputs, rank, scale }: ProductShape): number {
  let squares = 0;
  for (let r = 0; r < rank; r++) {
    for (let s = 0; s <= r; s++) {
      let [ofB, ofA] = [0, 0];
      for (let o = 0; o < out; o++) ofB += b[o * rank + r]! * b[o * rank + s]!;
      for (let i = 0; i < inputs; i++) ofA += a[r * inputs + i]! * a[s * inputs + i]!;
      squares += (r === s ? 1 : 2) * ofB * ofA;
    }
  }
  return Math.abs(scale) * Math.sqrt(Math.max(0, squares));
}
