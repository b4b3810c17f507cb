/** The dictionaries of a run whose features are described. */

import { join } from "node:path";
import type { Site } from "../../models/sites.ts";
import { checksumOf } from "../../runs/files.ts";
import { loadSae } from "../../sae/format.ts";
import type { Sae } from "../../sae/sae.ts";
import {
  type Autoencoders,
  autoencodersSchema,
  type Dictionary,
  type DictionarySize,
  type ModelName,
  qualityFile,
  readDictionaries,
} from "../artifacts/autoencoders.ts";
import { readJson } from "../artifacts/json-files.ts";

/** The models, in the order in which their dictionaries are described. */
export const models = ["tuned", "base"] as const satisfies readonly ModelName[];

export interface OpenDictionary extends Pick<Dictionary, "model" | "size" | "layer"> {
  readonly site: Site;
  readonly sae: Sae;
  readonly digest: string;
  /** By this dictionary's features: the partner in the dictionary of the other size. */
  readonly partners: ReadonlyMap<number, { readonly feature: number; readonly cosine: number }>;
}

/** Opens all of a run's dictionaries, in the order in which they are described. */
export async function openDictionaries(root: string): Promise<OpenDictionary[]> {
  const { similarities } = await readJson(root, qualityFile, autoencodersSchema);
  const all = await readDictionaries(root);
  const found: OpenDictionary[] = [];
  for (const { model, layer, size, folder } of models.flatMap((name) => all.filter((one) => one.model === name))) {
    const similarity = similarities.find((one) => one.model === model && one.layer === layer);
    const { sae, site } = await loadSae(folder);
    const { sha256: digest } = await checksumOf(join(folder, "sae_weights.safetensors"));
    found.push({ model, size, layer, site, sae, digest, partners: partnersOf(similarity, size) });
  }
  return found;
}

function partnersOf(similarity: Autoencoders["similarities"][number] | undefined, size: DictionarySize) {
  const matches = similarity?.matches ?? [];
  return new Map(
    matches.map(({ small, big, cosine }) =>
      size === "small" ? ([small, { feature: big, cosine }] as const) : ([big, { feature: small, cosine }] as const),
    ),
  );
}

/** Name of a dictionary, unique in its model. */
export function nameOf({ layer, size }: OpenDictionary): string {
  return `${layer}.${size}`;
}

/** Groups the dictionaries into passes over the texts: as many layers each as the limit on memory allows. */
export function groupsOf(
  dictionaries: readonly OpenDictionary[],
  tokens: number,
  cellsAtOnce = usualCells,
): OpenDictionary[][] {
  const groups: OpenDictionary[][] = [];
  let cells = Number.POSITIVE_INFINITY;
  for (const layer of new Set(dictionaries.map((one) => one.layer))) {
    const own = dictionaries.filter((dictionary) => dictionary.layer === layer);
    const more = own.reduce((total, { sae }) => total + sae.F * tokens, 0);
    if (cells + more > cellsAtOnce) {
      groups.push([]);
      cells = 0;
    }
    cells += more;
    groups.at(-1)?.push(...own);
  }
  return groups;
}

/** Tokens times features; a tenth to a third of them are active, and each of those takes 12 bytes. */
const usualCells = 2 ** 27;
