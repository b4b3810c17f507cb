import { z } from "zod";

/** File of the `evaluate` stage. */
export const evaluationFile = "evaluation.json";

export const pairsSchema = z.array(
  z.object({
    prompt: z.string(),
    base: z.object({ completion: z.string(), reward: z.number() }),
    tuned: z.object({ completion: z.string(), reward: z.number(), kl: z.number() }),
  }),
);
const interval = z.looseObject({ mean: z.number(), low: z.number(), high: z.number() });
const compared = { base: interval, tuned: interval, difference: interval };
/** The part of an evaluation that the report reads. */
export const evaluationSchema = z.object({
  prompts: z.int(),
  base: interval,
  tuned: interval,
  difference: interval,
  kl: interval,
  samples: pairsSchema,
  /** The same completions under the edited ratings that the model was tuned on, where there are edits. */
  edited: z.object(compared).optional(),
  /** The same completions by each part of a feedback that weighs several, without its weight. */
  parts: z.array(z.object({ name: z.string(), weight: z.number(), ...compared })).optional(),
});
