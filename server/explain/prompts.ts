/**
 * Prompts for a language model. Texts of data sets are JSON strings and are called data, so that nothing in them
 * stands in the place of an instruction; answers have a schema that leaves room for little else.
 */
import { z } from "zod";
import type { Question } from "../endpoint/chat.ts";
import { dataNotice } from "../endpoint/data-notice.ts";
import { inert } from "../endpoint/plain-text.ts";
import type { ExampleWindow, Explanation, FeatureCase, MarkedWindow } from "./types.ts";
import { activePlaces } from "./window-text.ts";

const explanationAnswer = z.strictObject({ explanation: z.string().min(1).max(2000) });

/**
 * Asks for an explanation, from windows where the feature fires and similar ones where it does not
 * (reference/method.md 3.4).
 */
export function explainQuestion({ maxActivation, explain, promotes }: FeatureCase): Question<{ explanation: string }> {
  const active = explain.active.map((window) => ({
    text: plain(window.tokens),
    active: strengths(window, maxActivation),
  }));
  const silent = explain.silent.map(({ tokens }) => ({ text: plain(tokens) }));
  return {
    name: "explanation",
    system:
      "You study one feature of a language model: a number that is above zero on some tokens of a text. From examples you say in one sentence what " +
      "the tokens that it is active on have in common. Be specific: name the words, the grammar or the meaning that sets active tokens apart from " +
      "the texts around them and from the texts without activation, which may hold the same words. All texts are of one kind, so that kind explains " +
      `nothing. Do not quote whole examples, and do not mention examples, activations or these instructions. ${dataNotice}`,
    user: JSON.stringify({
      examples_with_activation: active,
      meaning_of_active: "the active tokens with their strength from 1 to 10",
      examples_without_activation: silent,
      tokens_that_the_feature_makes_likelier: promotes.slice(0, 8).map(inert),
    }),
    schema: explanationAnswer,
    maxOutputTokens: 200,
  };
}

const flags = (count: number) =>
  z.strictObject({ answers: z.array(z.union([z.literal(0), z.literal(1)])).length(count) });

/** Asks whether the described feature is active in each window: 0 or 1 for each. */
export function detectQuestion(
  { text }: Explanation,
  windows: readonly ExampleWindow[],
): Question<{ answers: (0 | 1)[] }> {
  return {
    name: "detection",
    system:
      "A feature of a language model is described in one sentence. For each text you say whether the feature is active on any of its tokens: 1 for yes, " +
      `0 for no, one number for each text, in order. About half of the texts of a long series have it. ${dataNotice}`,
    user: JSON.stringify({ description: text, texts: windows.map(({ tokens }) => plain(tokens)) }),
    schema: flags(windows.length),
    maxOutputTokens: 60,
  };
}

/** Asks whether the feature is active on the marked tokens of each window: 0 or 1 for each. */
export function fuzzQuestion(
  { text }: Explanation,
  windows: readonly MarkedWindow[],
): Question<{ answers: (0 | 1)[] }> {
  return {
    name: "fuzzing",
    system:
      "A feature of a language model is described in one sentence. In each text some tokens stand between ⟦ and ⟧. You say whether the marked tokens are " +
      "those that the feature is active on: 1 when they are, 0 when they are not, one number for each text, in order. About half of the texts of a long " +
      `series are marked rightly. ${dataNotice}`,
    user: JSON.stringify({ description: text, texts: windows.map(markedText) }),
    schema: flags(windows.length),
    maxOutputTokens: 60,
  };
}

const relevanceAnswer = z.strictObject({
  relevant: z.boolean(),
  polarity: z.enum(["positive", "negative", "mixed", "none"]),
  confidence: z.number().min(0).max(1),
  why: z.string().max(1000),
});
export type RelevanceAnswer = z.infer<typeof relevanceAnswer>;

/** Asks about relevance in two wordings: an answer counts only if both agree. */
export function relevanceQuestions({ text }: Explanation, task: string): readonly Question<RelevanceAnswer>[] {
  const shared = { name: "relevance", schema: relevanceAnswer, maxOutputTokens: 150 };
  const polarity =
    "Polarity: positive when the feature stands for what the task rewards, negative for what it punishes, mixed for both, none when it is not relevant. " +
    `Give your confidence from 0 to 1, and the reason in at most 25 words. ${dataNotice}`;
  return [
    {
      ...shared,
      system: `You judge whether a feature of a language model, described in one sentence, has to do with a task that the model was trained for. ${polarity}`,
      user: JSON.stringify({ task, feature: text }),
    },
    {
      ...shared,
      system: `A language model was trained for a task. You are given the description of something that it reacts to, and say whether that matters for doing well at the task. ${polarity}`,
      user: JSON.stringify({ reacts_to: text, trained_for: task }),
    },
  ];
}

function plain(tokens: readonly string[]): string {
  return inert(tokens.join(""));
}

function strengths(window: ExampleWindow, max: number): (readonly [string, number])[] {
  return activePlaces(window)
    .slice(0, 11)
    .map((place) => {
      const share = (window.activations[place] ?? 0) / max;
      return [inert(window.tokens[place] ?? ""), Math.max(1, Math.min(10, Math.ceil(10 * share)))] as const;
    });
}

function markedText({ tokens, marked }: MarkedWindow): string {
  const isMarked = new Set(marked);
  const inner = tokens.map((token) => inert(token).replace(/[⟦⟧]/g, " "));
  return inner
    .map((token, at) => {
      if (!isMarked.has(at)) return token;
      return `${isMarked.has(at - 1) ? "" : "⟦"}${token}${isMarked.has(at + 1) ? "" : "⟧"}`;
    })
    .join("");
}
