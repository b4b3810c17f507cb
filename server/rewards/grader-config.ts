/** Settings of a language model that grades as feedback. The descriptions also reach the JSON Schema of the experiment file. */
import { z } from "zod";
import { wholeTextFields } from "./whole-text-fields.ts";

const dollars = z.number().nonnegative().max(1_000_000);

export const GraderConfig = z
  .strictObject({
    kind: z
      .literal("grader")
      .describe(
        "A language model at an OpenAI-compatible endpoint, which grades each completion from 1 to 5 by your rubric. 1 becomes -1, 3 becomes 0 and 5 becomes 1; " +
          "where it gives no grade, the reward is 0.",
      ),
    endpoint: z
      .string()
      .min(1)
      .max(2000)
      .describe(
        "The address before /chat/completions, such as http://localhost:11434/v1. One that is not on this machine gets texts and a key only if the environment " +
          "variable LFP_GRADER_ORIGIN names its origin.",
      ),
    model: z.string().min(1).max(200).describe("The endpoint's model."),
    rubric: z
      .string()
      .min(1)
      .max(8000)
      .describe("What is graded, and what earns a low and a high grade, in words to the model."),
    scale: z.number().min(-1000).max(1000).default(1).describe("What the reward of -1 to 1 is multiplied with."),
    maxTokens: z
      .int()
      .positive()
      .default(1_000_000)
      .describe(
        "The run stops before this grader has used more tokens than this, over all runs that share its answers.",
      ),
    maxUsd: dollars.nullable().default(null).describe("The same in dollars; needs prices. null: no bound in dollars."),
    prices: z
      .strictObject({ inputUsd: dollars, outputUsd: dollars })
      .readonly()
      .nullable()
      .default(null)
      .describe("Dollars for a million input and output tokens, for the estimate and the bound in dollars."),
    concurrency: z.int().min(1).max(64).default(4).describe("Completions that are graded at once."),
    timeoutS: z.number().positive().max(86_400).default(120).describe("Seconds that one answer may take."),
    thinkingTokens: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(0)
      .describe("Room for thinking in every answer, for models that think before they answer."),
    ...wholeTextFields,
  })
  .readonly();
export type GraderConfig = z.infer<typeof GraderConfig>;
