import { z } from "zod";
import { readJson } from "./json-files.ts";

/** File of the stages that read words by probes. */
export const readingsFile = "readings.json";
export const byWord = z.record(z.string(), z.number());
export const readingsSchema = z.object({ byTriple: byWord, byWord, fitted: byWord });

export function readWordReadings(folder: string): Promise<z.infer<typeof readingsSchema>> {
  return readJson(folder, readingsFile, readingsSchema);
}
