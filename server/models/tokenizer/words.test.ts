import fc from "fast-check";
import { expect, it } from "vitest";
import { splitWords } from "./words.ts";

// GPT-2's pattern, with Unicode's white space, as the oracle: fine for short texts.
const pattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

function words(text: string): string[] {
  const found: string[] = [];
  splitWords(text, (start, end) => found.push(text.slice(start, end)));
  return found;
}

it("splits as GPT-2's pattern does", () => {
  const part = fc.oneof(
    fc.constantFrom(
      ..."ab1'stm. \t\n\r\u00a0\u0085\ufeff\u3000é日😀\u0301½\ufffd",
      "  ",
      "'re",
      "'ll",
      "'ve",
      "\u{1d49c}",
      "\u{1d7d8}",
    ),
    fc.string({ unit: "binary", maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 25 }), (parts) => {
      const text = parts.join("");
      expect(words(text)).toEqual(text.match(pattern) ?? []);
    }),
    { numRuns: 800, seed: 4 },
  );
});

it("takes words of millions of characters, which overflow the pattern's stack", () => {
  for (const character of ["漢", "😀", " "]) {
    const text = character.repeat(5_000_000);
    const found: number[] = [];
    splitWords(text, (_, end) => found.push(end));
    expect(found).toEqual([text.length]);
  }
});
