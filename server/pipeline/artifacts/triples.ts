import { type Triple, tripleSchema } from "../../tasks/task.ts";
import { readJsonLines } from "./json-files.ts";

/** Files of the `triples` stage. */
export const triplesFile = "triples.jsonl";
export const tripleCountsFile = "counts.json";

export function readTriples(folder: string): Promise<Triple[]> {
  return readJsonLines(folder, triplesFile, tripleSchema);
}
