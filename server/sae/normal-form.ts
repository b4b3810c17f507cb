/** Autoencoders of other forms as ours: nothing subtracted from the input, decoder rows of length one. */
import { activationRule } from "./activations.ts";
import { type Activation, type Sae, unitRows } from "./sae.ts";

/** The same autoencoder with the decoder's bias taken from the encoder's sums instead of from its input. */
export function withoutInputBias(sae: Sae): Sae {
  const { D, encoder, decoderBias } = sae;
  const encoderBias = sae.encoderBias.map((bias, f) => {
    let sum = bias;
    for (let d = 0; d < D; d++) sum -= (encoder[f * D + d] ?? 0) * (decoderBias[d] ?? 0);
    return sum;
  });
  return { ...sae, encoderBias };
}

/** The same features from activations that still have their mean over the width, which it was trained without. */
export function centringItsInput(sae: Sae): Sae {
  const { D, F, encoder } = sae;
  const means = Float64Array.from({ length: F }, (_, f) =>
    encoder.subarray(f * D, (f + 1) * D).reduce((sum, value) => sum + value / D, 0),
  );
  return { ...sae, encoder: encoder.map((value, at) => value - (means[Math.floor(at / D)] ?? 0)) };
}

/**
 * The same reconstructions from decoder rows of length one, with features as much larger; as it is where that would change
 * which features are active (the k largest).
 */
export function withUnitDecoder(sae: Sae): Sae {
  const scaled = activationRule(sae.activation).scaled(sae.activation, rowLengths(sae));
  return scaled === undefined ? sae : unitDecoder(sae, scaled);
}

/** Decoder rows of length one and sums as much larger, under an activation that fits those. */
export function unitDecoder(sae: Sae, activation: Activation): Sae {
  const { D, F, encoder, encoderBias, decoder } = sae;
  const lengths = rowLengths(sae);
  const times = (values: Float32Array, width: number): Float32Array =>
    values.map((value, at) => value * (lengths[Math.floor(at / width)] ?? 0));
  if (lengths.length === F && lengths.every((length) => Math.abs(length - 1) < 1e-6)) return { ...sae, activation };
  return {
    ...sae,
    activation,
    encoder: times(encoder, D),
    encoderBias: times(encoderBias, 1),
    decoder: unitRows(decoder, D),
  };
}

/** [F] */
function rowLengths({ D, F, decoder }: Sae): Float32Array {
  return Float32Array.from({ length: F }, (_, f) =>
    Math.sqrt(decoder.subarray(f * D, (f + 1) * D).reduce((sum, value) => sum + value * value, 0)),
  );
}
