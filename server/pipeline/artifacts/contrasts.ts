import { z } from "zod";
import { gradedSummarySchema } from "../../grading/summary.ts";
import { type Contrast, contrastSchema } from "../../tasks/contrast.ts";
import { readJson, readJsonLines } from "./json-files.ts";

/** Files of the `contrasts` stage. */
export const contrastsFile = "contrasts.jsonl";
export const contrastCountsFile = "counts.json";

export const contrastCountsSchema = z.object({
  contrasts: z.int(),
  /** Number of prompts. */
  groups: z.int(),
  /** Contrasts with a neutral side. */
  neutral: z.int(),
  /** Of contrasts of a file: those of prompts that the model was tuned on. Null for contrasts of the run's own pairs. */
  ofTuningPrompts: z.int().nullable().default(null),
  /** Of contrasts of a file: how many it holds, and how a language model graded them, where it says so beside it. */
  file: z.object({ contrasts: z.int(), graded: gradedSummarySchema.nullable() }).nullable().default(null),
});
export type ContrastCounts = z.output<typeof contrastCountsSchema>;

export function readContrasts(folder: string): Promise<Contrast[]> {
  return readJsonLines(folder, contrastsFile, contrastSchema);
}

export function readContrastCounts(folder: string): Promise<ContrastCounts> {
  return readJson(folder, contrastCountsFile, contrastCountsSchema);
}
