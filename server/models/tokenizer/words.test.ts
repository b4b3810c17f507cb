import fc from "fast-check";
import { expect, it } from "vitest";
import { splitWords, type WordRule } from "./words.ts";

// The patterns, with Unicode's white space, as oracles: fine for short texts.
const gpt2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const gpt4 =
  /'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const oracles: Readonly<Record<WordRule, (text: string) => string[]>> = {
  gpt2: (text) => text.match(gpt2) ?? [],
  digits: (text) => (text.match(/\p{N}|[^\p{N}]+/gu) ?? []).flatMap((part) => part.match(gpt2) ?? []),
  gpt4: (text) => text.match(gpt4) ?? [],
  gpt4OneDigit: (text) => text.match(new RegExp(gpt4.source.replace("{1,3}", ""), "gu")) ?? [],
};
const rules = Object.keys(oracles) as WordRule[];

function words(text: string, rule: WordRule): string[] {
  const found: string[] = [];
  splitWords(text, (start, end) => found.push(text.slice(start, end)), rule);
  return found;
}

it.each(rules)("splits as the pattern of %s does", (rule) => {
  const part = fc.oneof(
    fc.constantFrom(
      ..."ab1'stm. \t\n\r\u00a0\u0085\ufeff\u3000é日😀\u0301½\ufffd'SſT",
      "  ",
      "\r\n",
      " \n",
      "'re",
      "'ll",
      "'lL",
      "'VE",
      "\u{1d49c}",
      "\u{1d7d8}",
      "1234",
    ),
    fc.string({ unit: "binary", maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 25 }), (parts) => {
      const text = parts.join("");
      expect(words(text, rule)).toEqual(oracles[rule](text));
    }),
    { numRuns: 800, seed: 4 },
  );
});

it.each(rules)("takes words of millions of characters, which overflow the pattern's stack: %s", (rule) => {
  for (const character of ["漢", "😀", " "]) {
    const text = character.repeat(5_000_000);
    const found: number[] = [];
    splitWords(text, (_, end) => found.push(end), rule);
    expect(found).toEqual([text.length]);
  }
});
