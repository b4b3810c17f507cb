import { z } from "zod";

/** File of the `prepare` stage: the number of texts for each purpose. */
export const countsFile = "counts.json";
export const countsSchema = z.object({ tuning: z.int(), heldOut: z.int(), analysis: z.int() });

/** A text with an id for its source, such as `reviews.jsonl/17`. */
export const sourceText = z.strictObject({
  id: z.string(),
  text: z.string(),
  /** Whether a chat template wrote it: special tokens written out in it are those tokens. */
  templated: z.literal(true).optional(),
});
export type SourceText = z.infer<typeof sourceText>;

/** Files of the `prepare` stage. */
export const tuningTexts = "tuning.jsonl";
export const heldOutTexts = "held-out.jsonl";
export const analysisTexts = "analysis.jsonl";
