/** Settings of a program of the user's own as feedback. The descriptions also reach the JSON Schema of the experiment file. */
import { z } from "zod";
import { wholeTextFields } from "./whole-text-fields.ts";

/** Longest time that a batch may be given: a day. */
const MOST_SECONDS = 86_400;

export const CommandConfig = z
  .strictObject({
    kind: z
      .literal("command")
      .describe(
        "A program of your own. It gets a line of JSON for each completion, { prompt, completion, text }, and answers each with a line: a number, or null (0) " +
          "where it judges nothing. It runs once and goes on reading lines until its input ends; it must flush every answer.",
      ),
    command: z
      .array(z.string().min(1).max(4096))
      .min(1)
      .max(64)
      .readonly()
      .describe(
        "The program and its arguments, without a shell. What begins with ./ or ../ is relative to the experiment file. A changed file of them is a changed experiment.",
      ),
    timeoutS: z
      .number()
      .positive()
      .max(MOST_SECONDS)
      .default(600)
      .describe("Seconds that a batch of completions may take; the run stops after that."),
    memoryMB: z
      .int()
      .positive()
      .max(2 ** 24)
      .nullable()
      .default(null)
      .describe(
        "The most memory that the program may hold, in MB; the run stops beyond it. Checked on Linux. null: no bound.",
      ),
    ...wholeTextFields,
  })
  .readonly();
export type CommandConfig = z.infer<typeof CommandConfig>;
