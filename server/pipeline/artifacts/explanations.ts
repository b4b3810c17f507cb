import { z } from "zod";
import { explanationDetail } from "../../store/rows.ts";

/** File of the `explain` stage. */
export const explanationsFile = "explanations.json";

const explainedSchema = z.array(z.object({ id: z.string(), text: z.string(), detail: explanationDetail }));
export const explanationsSchema = z.object({
  explainer: z.string(),
  task: z.string(),
  features: explainedSchema,
  /**
   * The base model's features, chosen and explained in the same way: how many relate to the task without any tuning.
   */
  base: explainedSchema,
  failed: z.array(z.object({ id: z.string(), reason: z.string() })),
});
export type Explanations = z.infer<typeof explanationsSchema>;
