import { z } from "zod";

/** File of the `similarity` stage. */
export const similarityFile = "similarity.json";

const baselineSchema = z.object({
  model: z.enum(["base", "tuned"]),
  layer: z.int(),
  /** Mean max cosine of the small dictionary with random directions, and of random ones with random ones. */
  withRandom: z.number(),
  random: z.number(),
});
export const similaritySchema = z.object({ baselines: z.array(baselineSchema) });
export type Similarity = z.infer<typeof similaritySchema>;
