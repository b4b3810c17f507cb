/** The dictionaries of a run whose features are described. */

import { join } from "node:path";
import { checksumOf } from "../../runs/files.ts";
import { loadSae } from "../../sae/format.ts";
import type { Sae } from "../../sae/sae.ts";
import { type Autoencoders, autoencodersSchema, qualityFile, saeFolder } from "../artifacts/autoencoders.ts";
import { readJson } from "../artifacts/json-files.ts";

/** Of one model's dictionaries; the tuned model's are described first. */
export const models = ["tuned", "base"] as const;
export type ModelName = (typeof models)[number];

export interface OpenDictionary {
  readonly model: ModelName;
  readonly size: "small" | "big";
  readonly layer: number;
  readonly sae: Sae;
  readonly digest: string;
  /** By this dictionary's features: the partner in the other size. */
  readonly partners: ReadonlyMap<number, { readonly feature: number; readonly cosine: number }>;
}

/** The smallest and the largest dictionary of each layer; one size alone is the small one. */
export async function openDictionaries(root: string): Promise<OpenDictionary[]> {
  const { saes, similarities } = await readJson(root, qualityFile, autoencodersSchema);
  const found: OpenDictionary[] = [];
  for (const model of models) {
    for (const layer of new Set(saes.map((sae) => sae.layer))) {
      const sizes = saes.filter((sae) => sae.model === model && sae.layer === layer).toSorted((a, b) => a.F - b.F);
      const similarity = similarities.find((one) => one.model === model && one.layer === layer);
      for (const [at, { F }] of sizes.entries()) {
        if (at > 0 && at < sizes.length - 1) continue;
        const folder = saeFolder(root, model, layer, F);
        const { sae } = await loadSae(folder);
        const { sha256: digest } = await checksumOf(join(folder, "sae_weights.safetensors"));
        const size = at === 0 ? "small" : "big";
        found.push({ model, size, layer, sae, digest, partners: partnersOf(similarity, size) });
      }
    }
  }
  return found;
}

function partnersOf(similarity: Autoencoders["similarities"][number] | undefined, size: "small" | "big") {
  const matches = similarity?.matches ?? [];
  return new Map(
    matches.map(({ small, big, cosine }) =>
      size === "small" ? ([small, { feature: big, cosine }] as const) : ([big, { feature: small, cosine }] as const),
    ),
  );
}

/** Tells the dictionaries of a model apart. */
export function nameOf({ layer, size }: OpenDictionary): string {
  return `${layer}.${size}`;
}

/** Layers that are read in one pass: as many as keep what has to be remembered at once within bounds. */
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
