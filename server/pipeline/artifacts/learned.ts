import { z } from "zod";
import { readJson } from "./json-files.ts";

/** File of the `learned` stage. */
export const learnedFile = "learned.json";
export const placesFile = "places.json";

export const placesSchema = z.object({
  words: z.array(z.object({ word: z.string(), rating: z.number() })),
  word: z.array(z.int()),
  logRatio: z.array(z.number()),
});

/** The log-ratios of every place, by word, from a stage whose settings keep them. */
export async function readPlaces(folder: string): Promise<ReadonlyMap<string, number[]>> {
  const { words, word, logRatio } = await readJson(folder, placesFile, placesSchema);
  const byWord = new Map<string, number[]>(words.map((one) => [one.word, []]));
  for (const [at, index] of word.entries()) byWord.get(words[index]?.word ?? "")?.push(logRatio[at] ?? Number.NaN);
  return byWord;
}
