import type { Device, StateStore } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import type { SaeNodes } from "./graph.ts";
import type { Sae } from "./sae.ts";

/** A trained autoencoder on a device: `encodeNode(x, nodes)` and `decodeNode(features, nodes)` read it in any program that has the store. */
export interface PlacedSae {
  readonly store: StateStore;
  readonly nodes: SaeNodes;
}

/** Puts an autoencoder's weights on a device, under names that begin with `prefix`. The weights are copied. */
export async function placeSae(device: Device, prefix: string, sae: Sae): Promise<PlacedSae> {
  const { D, F, activation } = sae;
  const tied = sae.encoder === sae.decoder;
  const named = {
    ...(tied ? {} : { encoder: { shape: [F, D], values: sae.encoder } }),
    encoderBias: { shape: [F], values: sae.encoderBias },
    decoder: { shape: [F, D], values: sae.decoder },
    decoderBias: { shape: [D], values: sae.decoderBias },
  };
  const store = await device.createState(
    Object.entries(named).map(([name, { shape, values }]) => ({
      name: `${prefix}.${name}`,
      shape,
      values: values.slice(),
    })),
  );
  const decoder = ops.state(`${prefix}.decoder`, [F, D]);
  const nodes = {
    encoder: tied ? decoder : ops.state(`${prefix}.encoder`, [F, D]),
    encoderBias: ops.state(`${prefix}.encoderBias`, [F]),
    decoder,
    decoderBias: ops.state(`${prefix}.decoderBias`, [D]),
    activation,
  };
  return { store, nodes };
}
