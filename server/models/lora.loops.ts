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
