import { expect, it } from "vitest";
import { plainMarkdown } from "./plain-markdown.ts";

/** All of ASCII that is no letter, digit or space. */
const punctuation = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at)).filter(
  (one) => !/[A-Za-z0-9]/.test(one),
);

it("escapes every character that Markdown allows to be escaped, and nothing else (CommonMark 2.4)", () => {
  expect(punctuation).toHaveLength(32);
  for (const one of punctuation) expect(plainMarkdown(`a${one}1`)).toBe(`a\\${one}1`);
  expect(plainMarkdown("[Open](command:evil) <img> $(sync) &lt; https://a.b")).not.toMatch(/(?<!\\)[[\](<>$&:*_`]/);
  expect(plainMarkdown("−0.41 nats · “gut” é 漢字")).toBe("−0\\.41 nats · “gut” é 漢字");
});

it("keeps words apart by spaces that lines can break at, and is of one paragraph", () => {
  const words = plainMarkdown("models tuned\n\nlike  this,\tand flags 1 in 20");
  expect(words).toBe("models tuned like this\\, and flags 1 in 20");
});
