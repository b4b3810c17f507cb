/** What can stand in the way of a contrast, in words. */
import type { NoAnswer } from "../endpoint/outcome.ts";

/** Reasons why a question has no answer. */
export const noAnswers = {
  refused: "the model refused",
  unusable: "the model's answer was not what was asked for",
  rejected: "the server rejected the request",
  unreachable: "the server did not answer",
} as const satisfies Readonly<Record<NoAnswer, string>>;

/** Why a contrast has no neutral side. */
export const neutralFaults = {
  ...noAnswers,
  length: "it is more than twice as long as the harmless side, or less than half as long",
  grade: "it is graded two worse than the harmless side, or more",
} as const;
export type NeutralFault = keyof typeof neutralFaults;

/** Questions about a pair, in order. */
export const gradingSteps = {
  found: "grading the answers of the data set",
  rewritten: "rewriting an answer",
  first: "grading the contrast",
  second: "grading it in the opposite order",
} as const;
export type GradingStep = keyof typeof gradingSteps;

/** Why a pair gives no contrast. */
export const dropReasons = {
  ...noAnswers,
  keptTooBad: "the answer to keep is graded so badly that no other can be two grades worse",
  gap: "both sides differ by less than two grades, in one of the orders",
  length: "one side is more than twice as long as the other",
} as const;
export type DropReason = keyof typeof dropReasons;
