import { expect, test } from "vitest";
import { editedLexicon, editInWords, isRewardWord, type RewardEdit } from "./edits.ts";
import { vaderReward, vaderScore } from "./vader.ts";
import { vaderLexicon } from "./vader-lexicon.ts";

const edits: readonly RewardEdit[] = [
  { word: "bad", flip: true },
  { word: "great", factor: -0.5 },
  { word: "house", rating: 3 },
  { word: "good", rating: 0 },
];

test("a flip, a factor and a rating change what a text is worth, and nothing else does", async () => {
  const text = "A GREAT house, not bad, good fun.";
  const plain = vaderScore(text, { lexicon: "head" });
  expect(plain.sum).toBeCloseTo(3.1 - 2.5 + 1.9 + 2.3, 12);
  const words = ["A GREAT", " house,", " not bad,", " good", " fun."];
  const texts = [text, ...words].map((completion) => ({ prompt: "a good prompt: ", completion }));
  const [whole = 0, ...each] = await vaderReward({ lexicon: "head", edits }, "completion").score(texts);
  expect(5 * whole).toBeCloseTo(-1.55 + 3 + 2.5 + 0 + 2.3, 12);
  for (const [at, rating] of [-1.55, 3, 2.5, 0, 2.3].entries()) expect(5 * (each[at] ?? 0)).toBeCloseTo(rating, 12);
});

test("the lexicon itself stays as it is, and no edits give it itself", () => {
  const lexicon = vaderLexicon("head");
  const edited = editedLexicon(lexicon, edits);
  expect([lexicon.get("bad"), lexicon.has("house"), edited.get("bad"), edited.size]).toEqual([
    -2.5,
    false,
    2.5,
    lexicon.size + 1,
  ]);
  expect([...edited.keys()].slice(0, lexicon.size)).toEqual([...lexicon.keys()]);
  expect(editedLexicon(lexicon, [])).toBe(lexicon);
  expect(() => editedLexicon(lexicon, [{ word: "house", flip: true }])).toThrow(/does not rate "house"/);
});

test("the reward's name says that it was edited", () => {
  expect(vaderReward({ lexicon: "head" }, "full").name).toBe("vader/head");
  expect(vaderReward({ lexicon: "head", edits }, "full").name).toBe("vader/head with 4 edited words");
});

test("words that the reward can meet", () => {
  expect(["bad", "naïve", ":)"].map(isRewardWord)).toEqual([true, true, true]);
  expect(["Bad", "well-made", "very bad", " bad", "don't", ""].map(isRewardWord)).toEqual(Array(6).fill(false));
});

test("an edit in words", () => {
  expect(edits.map((edit) => editInWords(edit, vaderLexicon("head")))).toEqual([
    "bad -2.5 to 2.5",
    "great 3.1 to -1.55",
    "house not rated to 3",
    "good 1.9 to 0",
  ]);
});
