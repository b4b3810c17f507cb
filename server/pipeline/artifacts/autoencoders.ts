import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { LfpError } from "../../common/errors.ts";

export const modelNames = ["base", "tuned"] as const;

/** File of the `autoencoders` stage. */
export const qualityFile = "quality.json";

export const qualitySchema = z.object({
  id: z.string(),
  model: z.enum(modelNames),
  layer: z.int(),
  /** Dictionary size (features) and width of its input. */
  F: z.int(),
  D: z.int(),
  tokens: z.number(),
  l0: z.number(),
  l1: z.number(),
  fve: z.number(),
  meanSquaredError: z.number(),
  normalisedError: z.number(),
  tableSparsity: z.number(),
  dead: z.number(),
  lossClean: z.number(),
  lossZero: z.number(),
  lossSpliced: z.number(),
  lossRecovered: z.number().nullable(),
});
export const similaritySchema = z.object({
  model: z.enum(modelNames),
  layer: z.int(),
  small: z.int(),
  big: z.int(),
  meanMaxCosine: z.number(),
  /** Features of the small dictionary in descending order of cosine with their twins in the big one. */
  matches: z.array(z.object({ small: z.int(), big: z.int(), cosine: z.number() })),
});
export const autoencodersSchema = z.object({
  trainingTokens: z.number(),
  steps: z.int(),
  saes: z.array(qualitySchema),
  similarities: z.array(similaritySchema),
});
export type Autoencoders = z.infer<typeof autoencodersSchema>;

/** Folder of an autoencoder inside the stage's output. */
export function saeFolder(root: string, model: string, layer: number, F: number): string {
  return join(root, model, String(layer), String(F));
}

/**
 * A dictionary in the stage's output that other stages read. `small` is the smallest of its layer, `big` the largest of
 * several.
 */
export interface Dictionary {
  readonly model: ModelName;
  readonly layer: number;
  readonly size: DictionarySize;
  readonly F: number;
  readonly folder: string;
}

export type ModelName = (typeof modelNames)[number];
export type DictionarySize = "small" | "big";

/**
 * The dictionaries in the output of `autoencoders` or `dictionaries`, by model, by layer, small before big. Skips sizes
 * between the two. Throws `NoDictionariesError` when there are none at all.
 */
export async function readDictionaries(root: string): Promise<Dictionary[]> {
  const found: Dictionary[] = [];
  for (const model of modelNames)
    for (const layer of await numbersIn(join(root, model))) {
      const sizes = await numbersIn(join(root, model, `${layer}`));
      for (const { size, F } of smallAndBig(sizes.map((own) => ({ F: own }))))
        found.push({ model, layer, size, F, folder: saeFolder(root, model, layer, F) });
    }
  if (found.length === 0) throw new NoDictionariesError(root);
  return found;
}

/** A folder holds no dictionaries. */
export class NoDictionariesError extends LfpError {
  readonly code = "not-found";

  constructor(root: string) {
    super(
      `${root} holds no dictionaries; expected folders like tuned/LAYER/FEATURES, as the autoencoders stage writes them: finish the run with \`lfp run\``,
    );
  }
}

/** The smallest and the largest of one layer's dictionaries, labelled with their size; a single one counts as small. */
export function smallAndBig<S extends { readonly F: number }>(dictionaries: readonly S[]): (S & SizeOnly)[] {
  const [small, ...larger] = dictionaries.toSorted((a, b) => a.F - b.F);
  const big = larger.at(-1);
  return [
    ...(small === undefined ? [] : [{ ...small, size: "small" as const }]),
    ...(big === undefined ? [] : [{ ...big, size: "big" as const }]),
  ];
}

interface SizeOnly {
  readonly size: DictionarySize;
}

/** Folders named by a number, ascending. */
async function numbersIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}
