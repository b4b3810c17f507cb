import { expect, test } from "vitest";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import { answerSequence, publishedSequences } from "./answer-sequences.ts";
import { TargetPlaceError } from "./collect-plan.ts";

/** An answer of these ids after a prompt of those. */
function span(prompt: readonly number[], answer: readonly number[]) {
  const before = prompt.map((id) => `${id} `).join("");
  const text = before + answer.join(" ");
  return { text, start: before.length, end: text.length };
}

const reading = { tokenizer: numberTokenizer, prefixIds: [1], most: 8 };

test("a text that fits is read whole, after the prefix, and the answer's tokens are the places", () => {
  const sequence = answerSequence(span([11, 12], [21, 22, 23]), 4, reading);
  expect(sequence).toEqual({ row: 4, ids: Int32Array.of(1, 11, 12, 21, 22, 23), places: [3, 4, 5], cut: false });
});

test("a prompt too long loses its beginning, an answer longer than half its end, and neither all of it", () => {
  const longPrompt = answerSequence(span([11, 12, 13, 14, 15, 16, 17], [21, 22]), 0, reading);
  expect(longPrompt).toEqual({
    row: 0,
    ids: Int32Array.of(1, 13, 14, 15, 16, 17, 21, 22),
    places: [6, 7],
    cut: true,
  });
  const both = answerSequence(span([11, 12, 13, 14, 15, 16], [21, 22, 23, 24, 25, 26]), 0, reading);
  expect(both).toMatchObject({ ids: Int32Array.of(1, 14, 15, 16, 21, 22, 23, 24), places: [4, 5, 6, 7], cut: true });
  const longAnswer = answerSequence(span([11], [21, 22, 23, 24, 25, 26, 27]), 0, reading);
  expect(longAnswer).toMatchObject({ ids: Int32Array.of(1, 11, 21, 22, 23, 24, 25, 26), places: [2, 3, 4, 5, 6, 7] });
});

test("a prefix that the text begins with is not doubled, and a range without tokens is refused", () => {
  expect(answerSequence(span([1, 12], [21]), 0, reading).ids).toEqual(Int32Array.of(1, 12, 21));
  expect(() => answerSequence({ text: "11 12", start: 5, end: 5 }, 0, reading)).toThrow(TargetPlaceError);
});

test("as published: answers alone, padded to the longest of eight of one class, all positions counting", () => {
  const lengths = [2, 5, 3, 1, 1, 1, 1, 1, 4, 2];
  const answers = [...lengths, ...lengths.map((length) => length + 1)].map((length) =>
    span(
      [99],
      Array.from({ length }, (_, at) => 10 + at),
    ),
  );
  const sequences = publishedSequences(answers, { tokenizer: numberTokenizer, padId: 0, classes: 2 });
  expect(sequences.map(({ ids }) => ids.length)).toEqual([5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5]);
  expect(sequences[2]).toEqual({
    row: 2,
    ids: Int32Array.of(10, 11, 12, 0, 0),
    places: [0, 1, 2, 3, 4],
    attended: 3,
    cut: false,
  });
  const long = publishedSequences(
    [
      span(
        [],
        Array.from({ length: 200 }, () => 7),
      ),
      span([], [8]),
    ],
    {
      tokenizer: numberTokenizer,
      padId: 0,
      classes: 2,
    },
  );
  expect(long.map(({ ids, cut }) => [ids.length, cut])).toEqual([
    [128, true],
    [1, false],
  ]);
});
