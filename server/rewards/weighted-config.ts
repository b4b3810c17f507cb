/** Settings of several kinds of feedback weighed together. The descriptions also reach the JSON Schema of the experiment file. */
import { z } from "zod";
import { ClassifierConfig } from "./classifier-config.ts";
import { CommandConfig } from "./command-config.ts";
import { GraderConfig } from "./grader-config.ts";
import { VaderConfig } from "./vader-config.ts";
import { wholeTextFields } from "./whole-text-fields.ts";

/** The whole decides which text is judged, and what rates words. */
const shared = { text: true, lexicon: true } as const;

const partReward = z
  .discriminatedUnion("kind", [
    VaderConfig.unwrap().omit({ text: true, edits: true }).readonly(),
    CommandConfig.unwrap().omit(shared).readonly(),
    ClassifierConfig.unwrap().omit(shared).readonly(),
    GraderConfig.unwrap().omit(shared).readonly(),
  ])
  .describe("A feedback of another kind, with that kind's own fields; text and the ratings of words are the whole's.");

export const WeightedConfig = z
  .strictObject({
    kind: z.literal("weighted").describe("Several kinds of feedback: the sum of each one's reward times its weight."),
    parts: z
      .array(
        z
          .strictObject({
            name: z.string().min(1).max(60).describe("Its name in reports, different from the others'."),
            weight: z
              .number()
              .min(-1000)
              .max(1000)
              .describe("What its reward is multiplied with; below 0 it is a penalty."),
            reward: partReward,
          })
          .readonly(),
      )
      .min(1)
      .max(8)
      .readonly()
      .refine((parts) => new Set(parts.map(({ name }) => name)).size === parts.length, {
        error: "must have different names",
      })
      .describe("What is weighed: name, weight and reward of each."),
    ...wholeTextFields,
  })
  .readonly();
export type WeightedConfig = z.infer<typeof WeightedConfig>;
