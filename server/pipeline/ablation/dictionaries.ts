/** The tuned model's dictionaries on a device, and the names of these and of their features. */

import type { AblatedDictionary } from "../../ablate/edit.ts";
import { invariant } from "../../common/errors.ts";
import type { Device } from "../../engine/device.ts";
import type { Node } from "../../engine/graph.ts";
import { featureId } from "../../protocol/ablation.ts";
import { loadSae } from "../../sae/format.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import { type Dictionary, readDictionaries } from "../artifacts/autoencoders.ts";

/** One of the tuned model's dictionaries. */
export type DictionaryPlace = Pick<Dictionary, "layer" | "size">;

/** Loads the tuned model's dictionaries onto a device, big before small, the order in which they are applied. */
export async function placeDictionaries(device: Device, root: string): Promise<AblatedDictionary[]> {
  const own = (await readDictionaries(root)).filter(({ model }) => model === "tuned");
  const found: AblatedDictionary[] = [];
  for (const { layer, size, F, folder } of own.toSorted((a, b) => a.layer - b.layer || b.F - a.F)) {
    const name = dictionaryName({ layer, size });
    const { sae, site } = await loadSae(folder);
    const { store, nodes } = await placeSae(device, name, sae);
    const { decoder, decoderBias } = nodes;
    const encode = (x: Node): Node => encodeNode(x, nodes);
    found.push({ name, layer, site, features: F, store, encode, decoder, decoderBias });
  }
  return found;
}

/** `L4@small` */
export function dictionaryName({ layer, size }: DictionaryPlace): string {
  return `L${layer}@${size}`;
}

/** The inverse of `dictionaryName`. */
export function placeOfDictionary(name: string): DictionaryPlace {
  const [, layer, size] = /^L(\d+)@(small|big)$/.exec(name) ?? [];
  invariant(layer !== undefined, `${name} is no dictionary's name`);
  return { layer: Number(layer), size: size === "big" ? "big" : "small" };
}

/** `L4/F43` or `L4/F43@big` */
export function idInDictionary(dictionary: string, feature: number): string {
  return featureId({ model: "tuned", ...placeOfDictionary(dictionary), feature });
}
