/** Reference for the kernels of adamw.ts: a plain loop in double precision; offsets are in elements. */

export interface AdamWState {
  readonly parameters: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/** Steps in place and returns the norm before clipping. Settings in the order of `adamWSettings`. */
export function adamWReference(
  { parameters, first, second }: AdamWState,
  gradients: Float32Array,
  settings: Float32Array,
): number {
  const [beta1, rest1, beta2, rest2, stepSize, root, eps, keep, maxNorm] = settings;
  let squares = 0;
  for (let at = 0; at < gradients.length; at++) squares += gradients[at]! ** 2;
  const norm = Math.sqrt(squares);
  const clip = Math.min(1, maxNorm! / (norm + 1e-6));
  for (let at = 0; at < gradients.length; at++) {
    const g = gradients[at]! * clip;
    first[at] = beta1! * first[at]! + rest1! * g;
    second[at] = beta2! * second[at]! + rest2! * g * g;
    parameters[at] = keep! * parameters[at]! - (stepSize! * first[at]!) / (Math.sqrt(second[at]!) * root! + eps!);
  }
  return norm;
}
