import { z } from "zod";

/** File of the `divergence` stage. */
export const divergenceFile = "divergence.json";

const layerSchema = z.object({
  layer: z.int(),
  sumOfNorms: z.number(),
  jointL2: z.number(),
  mlpOnly: z.number(),
  relative: z.number(),
});
export const divergenceSchema = z.object({
  measure: z.string(),
  choose: z.string(),
  layers: z.array(layerSchema),
  chosen: z.array(z.int()),
});
export type Divergence = z.infer<typeof divergenceSchema>;
