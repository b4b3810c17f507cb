import { join } from "node:path";
import { z } from "zod";
import { openSafetensors } from "../../models/safetensors.ts";
import type { TripleFeatures } from "../../probe/features.ts";
import { rowMatrix } from "../../statistics/linear-algebra.ts";
import { readJson } from "./json-files.ts";

/** Features of the small dictionaries, and the activations that they encode. */
export type Collected = Readonly<Record<"features" | "activations", TripleFeatures>>;

export const weightsFile = "features.safetensors";
export const spansFile = "features.json";
const spans = z.array(z.object({ layer: z.int(), start: z.int(), end: z.int() }));
const spansSchema = z.object({ triples: z.int(), features: spans, activations: spans });

/** Reads the stage's output. */
export async function readCollected(folder: string): Promise<Collected> {
  const { triples, ...layers } = await readJson(folder, spansFile, spansSchema);
  await using file = await openSafetensors(join(folder, weightsFile));
  const read = async (name: "features" | "activations"): Promise<TripleFeatures> => {
    const data = await file.readFloat32(name);
    return { layers: layers[name], triples, rows: rowMatrix(data, 3 * triples, layers[name].at(-1)?.end ?? 0) };
  };
  return { features: await read("features"), activations: await read("activations") };
}
