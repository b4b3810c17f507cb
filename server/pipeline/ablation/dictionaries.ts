/** The tuned model's dictionaries on a device, and what they and their features are called. */

import type { AblatedDictionary } from "../../ablate/edit.ts";
import { invariant } from "../../common/errors.ts";
import type { Device } from "../../engine/device.ts";
import { featureId } from "../../protocol/ablation.ts";
import { loadSae } from "../../sae/format.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import { autoencodersSchema, qualityFile, saeFolder } from "../artifacts/autoencoders.ts";
import { readJson } from "../artifacts/json-files.ts";

/** Which of the tuned model's dictionaries. */
export interface DictionaryPlace {
  readonly layer: number;
  readonly size: "small" | "big";
}

/** The tuned model's, big before small as they are applied; one size alone is the small one. */
export async function placeDictionaries(device: Device, root: string): Promise<AblatedDictionary[]> {
  const { saes } = await readJson(root, qualityFile, autoencodersSchema);
  const found: AblatedDictionary[] = [];
  for (const layer of new Set(saes.map((sae) => sae.layer))) {
    const sizes = saes.filter((sae) => sae.model === "tuned" && sae.layer === layer).toSorted((a, b) => b.F - a.F);
    for (const [at, { F }] of sizes.entries()) {
      if (at > 0 && at < sizes.length - 1) continue;
      const size = at === sizes.length - 1 ? "small" : "big";
      const name = dictionaryName({ layer, size });
      const { sae } = await loadSae(saeFolder(root, "tuned", layer, F));
      const { store, nodes } = await placeSae(device, name, sae);
      const { decoder, decoderBias } = nodes;
      found.push({ name, layer, features: F, store, encode: (x) => encodeNode(x, nodes), decoder, decoderBias });
    }
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
