import { z } from "zod";
import { readJson } from "./json-files.ts";

export const candidatesFile = "candidates.json";
const wordSchema = z.object({ word: z.string(), rating: z.number(), places: z.int() });
export const candidatesSchema = z.object({
  /** Minimum number of places of a word in the texts. */
  minPlaces: z.int(),
  words: z.array(wordSchema),
});

/** The words that a set is drawn from. */
export async function readCandidates(folder: string): Promise<ReadonlySet<string>> {
  const { words } = await readJson(folder, candidatesFile, candidatesSchema);
  return new Set(words.map(({ word }) => word));
}

export const plantedFile = "planted.json";
export const plantedSchema = z.object({
  factor: z.number(),
  words: z.array(wordSchema),
});
export type Planted = z.infer<typeof plantedSchema>;

export function readPlanted(folder: string): Promise<Planted> {
  return readJson(folder, plantedFile, plantedSchema);
}
