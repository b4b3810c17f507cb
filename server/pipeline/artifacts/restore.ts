import { z } from "zod";
import { modelParts } from "../../models/architecture.ts";

/** File of the `restore` stage. */
export const restoreFile = "restore.json";

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const partSchema = z.object({
  part: z.enum(modelParts),
  /** Whether only the studied layers' weights were restored; else all layers'. */
  studied: z.boolean(),
  parameters: z.int(),
  sumOfNorms: z.number(),
  jointL2: z.number(),
  relative: z.number(),
  /** Share of the squared change of all parameters; null if nothing changed. */
  share: z.number().nullable(),
  /** Mean reward with the part's weights restored to the base model's. */
  reward: interval,
  /** Change of the mean reward by that, paired by prompt. */
  change: interval,
});
export const restoreSchema = z.object({ prompts: z.int(), tuned: interval, parts: z.array(partSchema) });
export type Restore = z.infer<typeof restoreSchema>;
