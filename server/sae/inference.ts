import type { Device, StateEntry, StateStore } from "../engine/device.ts";
import type { Shape } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { activationRule } from "./activations.ts";
import type { SaeNodes } from "./graph.ts";
import type { Sae } from "./sae.ts";

/**
 * A trained autoencoder on a device: any program that has the store can apply it by `encodeNode(x, nodes)` and
 * `decodeNode(features, nodes)`.
 */
export interface PlacedSae {
  readonly store: StateStore;
  readonly nodes: SaeNodes;
}

/** Copies an autoencoder's weights to a device, under names that begin with `prefix`. */
export async function placeSae(device: Device, prefix: string, sae: Sae): Promise<PlacedSae> {
  const { D, F, activation } = sae;
  const tied = sae.encoder === sae.decoder;
  const rule = activationRule(activation);
  const [shapes, values] = [rule.tensors(F), rule.valuesOf(activation)];
  const entry = (name: string, shape: Shape, own: Float32Array): StateEntry => ({
    name: `${prefix}.${name}`,
    shape,
    values: own.slice(),
  });
  const store = await device.createState([
    ...(tied ? [] : [entry("encoder", [F, D], sae.encoder)]),
    entry("encoderBias", [F], sae.encoderBias),
    entry("decoder", [F, D], sae.decoder),
    entry("decoderBias", [D], sae.decoderBias),
    ...Object.entries(shapes).map(([name, shape]) => entry(name, shape, values[name] ?? new Float32Array())),
  ]);
  const decoder = ops.state(`${prefix}.decoder`, [F, D]);
  const nodes = {
    encoder: tied ? decoder : ops.state(`${prefix}.encoder`, [F, D]),
    encoderBias: ops.state(`${prefix}.encoderBias`, [F]),
    decoder,
    decoderBias: ops.state(`${prefix}.decoderBias`, [D]),
    own: Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, ops.state(`${prefix}.${name}`, shape)]),
    ),
    activation,
  };
  return { store, nodes };
}
