/** Answers the questions of `protocol/questions.ts`, reading only. */
import { schemaProblems } from "../common/schema-problems.ts";
import { page } from "../common/untrusted-text.ts";
import { MAX_ANSWER, type QuestionInput, type QuestionName, questionInputs } from "../protocol/questions.ts";
import { QuestionInputError } from "./errors.ts";
import { featureAnswer, featuresAnswer } from "./feature-answers.ts";
import { reportAnswer, statusAnswer } from "./run-answers.ts";
import { scoreAnswer } from "./score-answer.ts";
import type { Sources } from "./sources.ts";

type Answerer<Q extends QuestionName> = (
  input: QuestionInput<Q>,
  sources: Sources,
  signal: AbortSignal,
) => Promise<string>;

const answerers: { readonly [Q in QuestionName]: Answerer<Q> } = {
  score: scoreAnswer,
  features: featuresAnswer,
  feature: featureAnswer,
  report: reportAnswer,
  status: statusAnswer,
};

/**
 * Answers a question in at most `MAX_ANSWER` units, with every character that acts or hides made visible. Throws
 * `QuestionInputError` for an input that does not fit, `UnknownRunError`, and what reading the run throws.
 */
export async function ask(
  question: QuestionName,
  input: unknown,
  sources: Sources,
  signal: AbortSignal,
): Promise<string> {
  return bounded(page(await answer(question, input, sources, signal)));
}

async function answer<Q extends QuestionName>(
  question: Q,
  given: unknown,
  sources: Sources,
  signal: AbortSignal,
): Promise<string> {
  const { data, error } = questionInputs[question].safeParse(given);
  if (error !== undefined) throw new QuestionInputError(`the input of ${question} is wrong: ${schemaProblems(error)}`);
  signal.throwIfAborted();
  const answerer: Answerer<Q> = answerers[question];
  // The schema of question Q has parsed it; the compiler cannot see that through the type parameter.
  return await answerer(data as QuestionInput<Q>, sources, signal);
}

/** Cuts a text at the end of a line. */
function bounded(text: string): string {
  if (text.length <= MAX_ANSWER) return text;
  const room = MAX_ANSWER - 100;
  const lineEnd = text.lastIndexOf("\n", room);
  const end = lineEnd > room / 2 ? lineEnd : room;
  return `${text.slice(0, end)}\n... (${text.length - end} characters more: ask for fewer)`;
}
