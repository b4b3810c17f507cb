import { z } from "zod";
import { modelParts } from "../../models/architecture.ts";

/** File of the `restore` stage. */
export const restoreFile = "restore.json";

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const partSchema = z.object({
  part: z.enum(modelParts),
  /** Only those of the layers that the run studies; else of all. */
  studied: z.boolean(),
  parameters: z.int(),
  sumOfNorms: z.number(),
  jointL2: z.number(),
  relative: z.number(),
  /** Of the squared change of all parameters; null where nothing changed. */
  share: z.number().nullable(),
  /** With the part's weights put back to the base model's. */
  reward: interval,
  /** Of the mean reward by that, prompt by prompt. */
  change: interval,
});
export const restoreSchema = z.object({ prompts: z.int(), tuned: interval, parts: z.array(partSchema) });
export type Restore = z.infer<typeof restoreSchema>;
