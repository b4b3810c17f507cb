/** Settings of how a pair's texts become tokens. */
import { z } from "zod";
import { count } from "./sampling-config.ts";

/** Tokenisation of a pair's texts; `preference-tokens.ts` has one row for each rule. */
export const PairTokensConfig = z.discriminatedUnion("rule", [
  z
    .strictObject({
      rule: z.literal("trl-1"),
      maxTokens: count.describe("A prompt and its answer are cut to this many tokens, at the end (1,024 in TRL)."),
    })
    .readonly(),
  z
    .strictObject({
      rule: z.literal("trl-0.7.7"),
      maxTokens: count.describe(
        "Prompt and longer answer together; above it the prompt is cut (256 in the paper's code).",
      ),
      maxPromptTokens: count.describe(
        "What is kept of a prompt that is cut: its last tokens (128 in the paper's code).",
      ),
    })
    .readonly(),
]);
export type PairTokensConfig = z.infer<typeof PairTokensConfig>;

/** What TRL does by default since 1.0. */
export const trlTokens: PairTokensConfig = { rule: "trl-1", maxTokens: 1024 };
