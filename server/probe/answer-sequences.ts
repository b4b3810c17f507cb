/** Answers after their prompts as token ids: as a model reads them, and as the paper's published code does. */
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Span } from "../tasks/task.ts";
import { TargetPlaceError, type TargetSequence } from "./collect-plan.ts";

export interface AnswerSequence extends TargetSequence {
  /** Whether tokens of the prompt or of the answer were left out. */
  readonly cut: boolean;
}

/**
 * The tokens of a span and of what precedes it, at most `most` with the prefix. Of a longer text, the prompt loses its
 * beginning, and an answer longer than half of `most` its end. Special tokens written out in the text are such, as in
 * training on pairs. Throws `TargetPlaceError`.
 */
export function answerSequence(
  span: Span,
  row: number,
  { tokenizer, prefixIds, most }: { tokenizer: Tokenizer; prefixIds: readonly number[]; most: number },
): AnswerSequence {
  const { ids, ranges } = tokenizer.encode(span.text, { addSpecialTokens: false, parseSpecialTokens: true });
  const inside = [...ranges.keys()].filter((token) => {
    const { start, end } = ranges[token] ?? { start: 0, end: 0 };
    return start < span.end && end > span.start;
  });
  const [first] = inside;
  if (first === undefined) throw new TargetPlaceError(span);
  // A chat template writes the token of the beginning itself.
  const prefix = prefixIds.every((id, at) => ids[at] === id) ? [] : prefixIds;
  const room = most - prefix.length;
  const answer = Math.min(inside.length, Math.max(room - first, Math.ceil(room / 2)));
  const prompt = Math.min(first, room - answer);
  return {
    row,
    ids: Int32Array.from([...prefix, ...ids.subarray(first - prompt, first + answer)]),
    places: Array.from({ length: answer }, (_, at) => prefix.length + prompt + at),
    cut: prompt < first || answer < inside.length,
  };
}

/** What the published code does to texts. */
export const asPublished = { rows: 8, tokens: 128 } as const;

/**
 * Answers alone, without their prompts, cut to 128 tokens and padded to the longest of eight of one class; the mean is
 * over all positions, padding included. The model attends to no padding, as with transformers' attention mask.
 * `answers` are of `classes`, one after the other in equal numbers.
 */
export function publishedSequences(
  answers: readonly Span[],
  { tokenizer, padId, classes }: { tokenizer: Tokenizer; padId: number; classes: number },
): AnswerSequence[] {
  const whole = answers.map(({ text, start, end }) => tokenizer.encode(text.slice(start, end)).ids);
  const all = whole.map((ids) => ids.subarray(0, asPublished.tokens));
  const perClass = answers.length / classes;
  return all.map((ids, row) => {
    const from = row - ((row % perClass) % asPublished.rows);
    const end = Math.min(from + asPublished.rows, (Math.floor(row / perClass) + 1) * perClass);
    const length = Math.max(...all.slice(from, end).map((other) => other.length));
    const padded = new Int32Array(length).fill(padId);
    padded.set(ids);
    return {
      row,
      ids: padded,
      places: [...padded.keys()],
      attended: ids.length,
      cut: whole[row] !== undefined && whole[row].length > ids.length,
    };
  });
}
