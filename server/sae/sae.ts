import { invariant } from "../common/errors.ts";

/**
 * The function from the encoder's sums to the features: ReLU of all, of the k largest, of those above a threshold [F], or,
 * where the sums are above 0, of the sums times a gain plus a shift, [F] each.
 */
export type Activation =
  | { readonly kind: "relu" }
  | { readonly kind: "topk"; readonly k: number }
  | { readonly kind: "jumprelu"; readonly threshold: Float32Array }
  | { readonly kind: "gated"; readonly gain: Float32Array; readonly shift: Float32Array };

/**
 * A trained sparse autoencoder: f = activation(encoder x + encoderBias), x̂ = fᵀ decoder + decoderBias. Letters: D
 * width of the encoded activations, F features. Nothing is subtracted from x before encoding.
 */
export interface Sae {
  readonly D: number;
  readonly F: number;
  readonly activation: Activation;
  /** [F, D], one feature a row. */
  readonly encoder: Float32Array;
  /** [F] */
  readonly encoderBias: Float32Array;
  /** [F, D], rows of length one: the features' directions. Equal to the encoder if the two are tied. */
  readonly decoder: Float32Array;
  /** [D] */
  readonly decoderBias: Float32Array;
}

/** Scales rows [R, D] to length one; a row of zeros stays zero. */
export function unitRows(rowsRD: Float32Array, D: number): Float32Array {
  invariant(rowsRD.length % D === 0, `${rowsRD.length} values are no rows of ${D}`);
  const unit = new Float32Array(rowsRD.length);
  for (let at = 0; at < rowsRD.length; at += D) {
    const row = rowsRD.subarray(at, at + D);
    const length = Math.sqrt(row.reduce((total, value) => total + value * value, 0));
    if (length > 0)
      unit.set(
        row.map((value) => value / length),
        at,
      );
  }
  return unit;
}
