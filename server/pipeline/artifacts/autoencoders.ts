import { join } from "node:path";
import { z } from "zod";

/** File of the `autoencoders` stage. */
export const qualityFile = "quality.json";

export const qualitySchema = z.object({
  id: z.string(),
  model: z.enum(["base", "tuned"]),
  layer: z.int(),
  /** Dictionary size and width of what it reads. */
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
  model: z.enum(["base", "tuned"]),
  layer: z.int(),
  small: z.int(),
  big: z.int(),
  meanMaxCosine: z.number(),
  /** Features of the small dictionary by falling cosine with their twins in the big one. */
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
