import { expect, test } from "vitest";
import { tokenizeEnglish } from "../../rewards/spacy-english/tokenizer.ts";
import { type PassageExtent, passagesOf } from "./passages.ts";

function passages(text: string, extent: PassageExtent = { kind: "everySentence" }) {
  return passagesOf(text, tokenizeEnglish(text), extent);
}

const texts = (text: string, extent?: PassageExtent) => passages(text, extent).map((passage) => passage.text);

test("sentences end with a full stop, question or exclamation mark and what closes them, or with the line", () => {
  expect(texts('Good film! "Really?" Yes, really... Mr. Smith agreed (he did.) And so on')).toEqual([
    "Good film!",
    '"Really?"',
    "Yes, really...",
    "Mr. Smith agreed (he did.)",
    "And so on",
  ]);
  expect(texts("A title\n\nThe film, 3.5 of 5, is fine.")).toEqual(["A title", "The film, 3.5 of 5, is fine."]);
  expect(texts("  \n ")).toEqual([]);
  expect(texts("")).toEqual([]);
});

test("only the first sentence, or only so many tokens", () => {
  expect(texts("\n One. Two.", { kind: "firstSentence" })).toEqual(["One."]);
  expect(texts("Good film! Very good. Bad.", { kind: "firstTokens", tokens: 5 })).toEqual(["Good film! Very good"]);
});

test("words lose their punctuation and keep their exact places in the passage", () => {
  const [first, second] = passages("Well. It was -good- and ***GREAT***, well-made, don't 10/10 :) café");
  expect(first?.words.map(({ key }) => key)).toEqual(["well"]);
  const { text, words } = second ?? { text: "", words: [] };
  expect(words.map(({ key }) => key).join(" ")).toBe("it was good and great well made do n't café");
  for (const { key, start, end } of words) expect(text.slice(start, end).toLowerCase()).toBe(key);
});
