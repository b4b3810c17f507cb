import { expect, test } from "vitest";
import { vaderLexicon } from "../../rewards/vader-lexicon.ts";
import { quartileWords } from "./polar-words.ts";

test("the lowest and highest quarter, with ties cut in file order", () => {
  const lexicon = new Map([
    ["mid", 0],
    ["low", -2],
    ["tied1", 1],
    ["tied2", 1],
    ["tied3", 1],
    ["lowest", -3],
    ["high", 2],
    ["tied4", 1],
    ["minus", -1],
  ]);
  // 9 keys: the first 2, and those from index 6 on of lowest low minus mid tied1 tied2 | tied3 tied4 high.
  const { negative, positive } = quartileWords(lexicon);
  expect([...negative]).toEqual(["lowest", "low"]);
  expect([...positive]).toEqual(["tied3", "tied4", "high"]);
});

test("of VADER's file of 2020: a part of those rated -1.6 and of those rated 1.5, as the paper's code gets", () => {
  const lexicon = vaderLexicon("head");
  const { negative, positive } = quartileWords(lexicon);
  expect([negative.size, positive.size]).toEqual([1876, 7506 - 5629]);
  const valuesOf = (words: ReadonlySet<string>) => [...words].map((word) => lexicon.get(word) ?? Number.NaN);
  expect(Math.max(...valuesOf(negative))).toBe(-1.6);
  expect(Math.min(...valuesOf(positive))).toBe(1.5);
  const rated = (value: number) => [...lexicon].filter(([, v]) => v === value).map(([word]) => word);
  const taken = rated(-1.6).filter((word) => negative.has(word));
  expect(taken.length).toBeLessThan(rated(-1.6).length);
  expect(taken).toEqual(rated(-1.6).slice(0, taken.length));
  const high = rated(1.5).filter((word) => positive.has(word));
  expect(high.length).toBeLessThan(rated(1.5).length);
  expect(high).toEqual(rated(1.5).slice(-high.length));
});
