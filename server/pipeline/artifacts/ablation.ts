import { z } from "zod";
import { ablationResult } from "../../ablate/result.ts";
import type { Choice } from "../ablation/choose.ts";
import { frequenciesSchema } from "../ablation/frequencies.ts";

/** File of the `ablate` stage. */
export const ablationFile = "ablation.json";

const choice = z.enum(["attribution", "lowest", "relevant", "weight"]) satisfies z.ZodType<Choice>;
export const ablationSchema = z.object({
  /**
   * How the set was chosen; `weight` also where relevant features were requested but no explained feature was relevant.
   */
  picked: choice,
  set: ablationResult,
  /** Other choices, and the set doubled. Empty for runs of earlier versions. */
  beside: z.array(z.object({ picked: choice, result: ablationResult })).default([]),
  /** Each removed alone. */
  single: z.array(ablationResult),
  /** How often the features are active; absent where the inputs are no rated words. */
  frequencies: frequenciesSchema.optional(),
});
export type Ablation = z.infer<typeof ablationSchema>;
