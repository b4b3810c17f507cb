/** Settings of VADER as the feedback of an experiment. The descriptions also reach the JSON Schema of the experiment file. */
import { z } from "zod";
import { rewardEditsSchema } from "./edits-config.ts";
import { judgedTextSchema } from "./judged-text.ts";

export const VaderConfig = z
  .strictObject({
    kind: z
      .literal("vader")
      .describe("VADER's word ratings, summed over spaCy's tokens, divided by 5 and clamped to -10 and 10."),
    lexicon: z
      .enum(["head", "nltk2016"])
      .describe(
        "Edition of the lexicon: VADER's repository of 2020, or the file of 2016 that NLTK has and the published code read.",
      ),
    text: judgedTextSchema,
    edits: rewardEditsSchema,
  })
  .readonly();
