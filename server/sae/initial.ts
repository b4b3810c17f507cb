import type { Random } from "../common/random.ts";
import type { StateEntry } from "../engine/device.ts";
import { sizeOf } from "../engine/graph.ts";
import type { Sparsity } from "./config.ts";
import type { SaeShape } from "./graph.ts";
import { orthonormaliseRows } from "./initial.loops.ts";
import { sparsityRule } from "./sparsity.ts";

/**
 * Weights before training: orthonormal directions, zero biases, and a decoder equal to the encoder. Except for the
 * length of the rows, which the graph sets to one, this is PyTorch's `orthogonal_`, with which the published
 * notebooks begin. The sparsity's rule sets the initial values of its own parameters.
 */
export function initialEntries(
  prefix: string,
  { D, F, tied }: SaeShape,
  sparsity: Sparsity,
  random: Random,
): StateEntry[] {
  const directions = orthonormalDirections(F, D, random);
  const { parameters, tracked = [] } = sparsityRule(sparsity);
  return [
    { name: `${prefix}.encoder`, shape: [F, D], values: directions },
    { name: `${prefix}.encoderBias`, shape: [F], values: undefined },
    ...(tied ? [] : [{ name: `${prefix}.decoder`, shape: [F, D], values: directions.slice() }]),
    { name: `${prefix}.decoderBias`, shape: [D], values: undefined },
    ...parameters(sparsity, F).map(({ name, shape, initial }) => ({
      name: `${prefix}.${name}`,
      shape,
      values: new Float32Array(sizeOf(shape)).fill(initial),
    })),
    ...tracked.map((name) => ({ name: `${prefix}.${name}`, shape: [], values: undefined })),
  ];
}

/** F unit rows of D, in blocks of at most D rows; the rows of a block are orthogonal, in random orientation. */
export function orthonormalDirections(F: number, D: number, random: Random): Float32Array {
  const directions = new Float32Array(F * D);
  for (let first = 0; first < F; first += D) {
    const block = Float64Array.from({ length: Math.min(D, F - first) * D }, () => random.normal());
    orthonormaliseRows(block, D);
    directions.set(block, first * D);
  }
  return directions;
}
