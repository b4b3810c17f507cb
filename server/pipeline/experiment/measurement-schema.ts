/** Sections of the experiment file about the measurements of a tuned model. */
import { z } from "zod";

/** Maximum number of prompts: a model completes each, and a million take days. */
export const MOST_PROMPTS = 1_000_000;

export const examplesSchema = z
  .strictObject({
    tokens: z
      .int()
      .positive()
      .max(1e12)
      .describe("How many tokens of the analysis texts are looked at for where each feature is active."),
    windowTokens: z
      .int()
      .min(4)
      .max(4096)
      .describe("Examples are windows of so many tokens; half of the texts serve explanations, half their scoring."),
  })
  .readonly()
  .describe("Examples of every feature, for people and for explanations.");

export const explainSchema = z
  .strictObject({
    perLayer: z
      .int()
      .nonnegative()
      .max(1_000_000)
      .describe(
        "How many features of each layer are explained, in the tuned and in the base model: those most similar to a feature of the other dictionary size (30 in the published code).",
      ),
  })
  .readonly()
  .describe("Explanations of features, made without network; lfp explain makes others with a language model.");

export const attributeSchema = z
  .strictObject({
    prompts: z
      .int()
      .min(16)
      .max(MOST_PROMPTS)
      .describe(
        "Prompts of the tuning texts, at most, whose completions by the tuned model are attributed to features; of a run on pairs, pairs that it tuned on.",
      ),
    objective: z
      .enum(["reward", "logRatio"])
      .describe(
        "What is attributed: the expected reward of the next token, by the feedback's word ratings, or the expected log-ratio of tuned to base model, " +
          "which needs no feedback and stands in where it rates no words. A run on pairs attributes the margin of chosen over rejected answers.",
      ),
  })
  .readonly()
  .describe("Which features carry what tuning raised: gradient times activation, docs/method.md, section 13.");

export const ablateSchema = z
  .strictObject({
    choose: z
      .enum(["attribution", "lowest", "relevant", "weight"])
      .describe(
        "Which features of the small dictionaries are removed: those that carry most of what tuning raised, those that hold it down most (both by " +
          "attribution), those whose explanation has to do with the task (the paper), or those that weigh most in the probe's output. The others are measured beside them.",
      ),
    features: z
      .int()
      .positive()
      .max(500)
      .describe("How many are removed, and four times as many beside them; relevant ones are all removed."),
    prompts: z
      .int()
      .min(16)
      .max(MOST_PROMPTS)
      .describe(
        "Held-out prompts, at most, that the changed model completes under each condition; held-out pairs, at most, that it scores.",
      ),
    completions: z
      .int()
      .positive()
      .max(100)
      .describe(
        "Completions of every prompt with the set removed, doubled, or removed from the base model; the other choices get half as many, a random set one, each in its turn.",
      ),
    draws: z
      .int()
      .nonnegative()
      .max(1000)
      .describe(
        "Random sets of features, active as often and as strongly as those of the set, that are removed for comparison. With 19, a set that is below all of them is so " +
          "by chance in 5 of 100 cases.",
      ),
    drawsBeside: z.int().nonnegative().max(1000).describe("Random sets for each of the other choices of features."),
    single: z
      .int()
      .nonnegative()
      .max(500)
      .describe(
        "How many features of the set are also removed one at a time: the first by what the set was chosen by.",
      ),
  })
  .readonly()
  .describe(
    "What removing the features that stand for the task does to its reward, or to the margins of held-out pairs, with controls.",
  );
