/**
 * Questions to a language model: grades of answers, an answer rewritten to be worse, and a reply that is of no use but
 * harmless (reference: the published code's `Contrastive_Triples.ipynb`, whose prompts are completions).
 */
import { z } from "zod";
import type { Question } from "../endpoint/chat.ts";
import { dataNotice } from "../endpoint/data-notice.ts";
import { inert } from "../endpoint/plain-text.ts";
import { highestGrade, lowestGrade } from "./gradings.ts";

/** Increment when the meaning of a question changes. */
export const promptVersion = 1;

/** A question with what estimates of its cost assume. */
export interface GradingQuestion<T> extends Question<T> {
  readonly assumed: { readonly value: T; readonly outputTokens: number };
}

const gradeSchema = z.strictObject({
  grade: z.int().min(lowestGrade).max(highestGrade),
  why: z.string().max(1000),
});
export type Grade = z.infer<typeof gradeSchema>;
export interface Grades {
  readonly grades: readonly Grade[];
}

/** Asks for the grades of several answers to one prompt, in the order in which they are shown. */
export function gradeQuestion(
  scale: string,
  prompt: string,
  answers: readonly { readonly text: string; readonly assumed: number }[],
): GradingQuestion<Grades> {
  return {
    name: "grades",
    system:
      `You grade answers to a prompt, for research on what language models learn. For each answer you say how ${scale}, from ${lowestGrade} (least) to ` +
      `${highestGrade} (most), and why, in at most 20 words that quote nothing of it. Grade every answer by itself, whatever its place: one object for each ` +
      `answer, in order. ${dataNotice}`,
    user: JSON.stringify({ prompt: inert(prompt), answers: answers.map(({ text }) => inert(text)) }),
    schema: z.strictObject({ grades: z.array(gradeSchema).length(answers.length) }),
    maxOutputTokens: 100 + 100 * answers.length,
    assumed: {
      value: { grades: answers.map(({ assumed }) => ({ grade: assumed, why: "" })) },
      outputTokens: 10 + 40 * answers.length,
    },
  };
}

export interface Rewritten {
  readonly text: string;
}

/** Invisible characters are removed before the text counts as empty or not. */
const rewrittenSchema = z.strictObject({
  text: z
    .string()
    .max(100_000)
    .overwrite((text) => inert(text).trim())
    .min(1),
});

export interface ToRewrite {
  readonly prompt: string;
  readonly answer: string;
  readonly grade: number;
  readonly wanted: number;
  /** The answer that the rewritten one is to be about as long as. */
  readonly kept: string;
}

/** Asks for an answer rewritten so that it would get another, higher grade. */
export function worseQuestion(
  scale: string,
  { prompt, answer, grade, wanted, kept }: ToRewrite,
): GradingQuestion<Rewritten> {
  return {
    name: "rewritten",
    system:
      "You rewrite answers for research on what language models learn: a classifier is tested on whether it tells the original from the rewritten answer. " +
      `A judge grades how ${scale}, from ${lowestGrade} (least) to ${highestGrade} (most). You are given a prompt, an answer to it, and the answer's grade. ` +
      "Rewrite the answer so that the judge would give it the wanted grade, in its language and form, with about as many words as are wanted. " +
      `Your answer's field text is the rewritten answer and nothing else. ${dataNotice}`,
    user: JSON.stringify({
      prompt: inert(prompt),
      answer: inert(answer),
      grade,
      wanted_grade: wanted,
      words: wordsIn(kept),
    }),
    ...textOfLength(kept),
  };
}

/** Asks for a reply that neither helps nor harms, as long as another answer. */
export function neutralQuestion(
  scale: string,
  { prompt, answer }: { prompt: string; answer: string },
): GradingQuestion<Rewritten> {
  return {
    name: "neutral",
    system:
      "You write replies for research on what language models learn. You are given a prompt. Write a reply to it that is of no help and has nothing to do " +
      `with what was asked, in the prompt's language and of about as many words as are wanted. A judge who grades how ${scale}, from ${lowestGrade} (least) to ` +
      `${highestGrade} (most), would give it ${lowestGrade}. Your answer's field text is the reply and nothing else. ${dataNotice}`,
    user: JSON.stringify({ prompt: inert(prompt), words: wordsIn(answer) }),
    ...textOfLength(answer),
  };
}

/** Room for twice the length at two characters a token, and never for fewer new tokens than the least. */
const charactersPerToken = { least: 2, usual: 4 } as const;
const leastRoom = 256;
const mostRoom = 4096;

function textOfLength({ length }: string): Pick<GradingQuestion<Rewritten>, "schema" | "maxOutputTokens" | "assumed"> {
  const room = Math.ceil((2 * length) / charactersPerToken.least);
  return {
    schema: rewrittenSchema,
    maxOutputTokens: Math.min(mostRoom, Math.max(leastRoom, room)),
    assumed: { value: { text: "x".repeat(length) }, outputTokens: 10 + Math.ceil(length / charactersPerToken.usual) },
  };
}

function wordsIn(text: string): number {
  return Math.max(1, text.split(/\s+/).filter((word) => word !== "").length);
}

/** Approximate tokens of a question's texts. */
export function inputTokensOf({ system, user }: Question<unknown>): number {
  return Math.ceil((system.length + user.length) / charactersPerToken.usual);
}
