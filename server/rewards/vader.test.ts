/** The traps of reference/method.md 4.3 and 4.4; sums over many strings are in test/conformance/spacy.test.ts. */
import { expect, test } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import type { JudgedText } from "./reward.ts";
import { tokenizeEnglish } from "./spacy-english/tokenizer.ts";
import { vaderRatings, vaderReward, vaderScore } from "./vader.ts";
import { vaderLexicon } from "./vader-lexicon.ts";

const head = { lexicon: "head" } as const;
const words = (text: string): string[] => vaderScore(text, head).tokens.map((token) => token.text);

test("adds the ratings, divides by 5 and says what came from where", () => {
  const score = vaderScore("A GREAT film, not bad :)", head);
  expect(score.tokens).toEqual([
    { text: "GREAT", start: 2, end: 7, valence: 3.1 },
    { text: "bad", start: 18, end: 21, valence: -2.5 },
    { text: ":)", start: 22, end: 24, valence: 2.0 },
  ]);
  expect(score.sum).toBeCloseTo(2.6, 12);
  expect(score.reward).toBeCloseTo(0.52, 12);
});

test("a text without rated words has reward 0", () => {
  expect(vaderScore("The film is about a house.", head)).toEqual({ reward: 0, sum: 0, tokens: [] });
  expect(vaderScore("", head)).toEqual({ reward: 0, sum: 0, tokens: [] });
  expect(words("constructor __proto__ toString")).toEqual([]);
});

test("clamps to 10 and -10 after scaling, and keeps the sum", () => {
  const good = vaderScore("great ".repeat(17), head);
  expect(good.sum).toBeCloseTo(52.7, 9);
  expect(good.reward).toBe(10);
  expect(vaderScore("great ".repeat(16), head).reward).toBeCloseTo(9.92, 9);
  expect(vaderScore("horrible ".repeat(40), head).reward).toBe(-10);
});

test("applies none of VADER's own rules", () => {
  const plain = vaderScore("good", head).reward;
  for (const text of ["not good", "very good", "GOOD", "good!!!", "barely good"])
    expect(vaderScore(text, head).reward).toBe(plain);
});

test("the editions differ in heart, hearts, flawed and badass only", () => {
  const nltk = vaderLexicon("nltk2016");
  const differing = [...vaderLexicon("head")].filter(([key, rating]) => nltk.get(key) !== rating);
  expect(new Map(differing)).toEqual(
    new Map([
      ["heart", 3.2],
      ["hearts", 3.3],
      ["flawed", -2.1],
      ["badass", 1.4],
    ]),
  );
  const text = "a badass with a flawed heart";
  expect(vaderScore(text, head).sum).toBeCloseTo(2.5, 12);
  expect(vaderScore(text, { lexicon: "nltk2016" }).sum).toBeCloseTo(-0.6, 12);
  expect([vaderLexicon("head").size, nltk.size]).toEqual([7506, 7503]);
});

test("of keys that VADER's file repeats the last rating counts", () => {
  const last = { lol: 1.8, lmao: 2.9, ok: 1.2, fav: 2.0, sob: -1.0, xd: 2.8 };
  for (const [word, rating] of Object.entries(last)) expect(vaderScore(word, head).sum).toBe(rating);
});

test("words glued to <br /> or to another word are not seen", () => {
  expect(words("great.<br /><br />Bad film")).toEqual([]);
  expect(words("great<br /><br />bad")).toEqual(["great"]);
  for (const glued of ["-great", "great--", "@great", "good!Bad", "good)bad", "good&bad", "good;bad", "great\u0097bad"])
    expect(words(glued)).toEqual([]);
  for (const split of ["good--bad", "good/bad", "good:bad", "good=bad", "good,bad", "good...bad"])
    expect(words(split)).toEqual(["good", "bad"]);
});

test("emoticons and plain numbers are rated", () => {
  expect(words("fun :) ;) :( <3 8) love<3")).toEqual(["fun", ":)", ";)", ":(", "<3", "8)"]);
  expect(words("86 143 187 gr8 5")).toEqual(["86", "143", "187", "gr8"]);
});

test("hyphenated and spaced keys never match; their parts may", () => {
  expect(words("cover-up once-in-a-lifetime short-sighted fed up can't stand")).toEqual([]);
  expect(words("self-confident aug-00")).toEqual(["confident", "aug-00"]);
  expect(words("w00t 3:)")).toEqual([":)"]);
});

test("capital keys never match lower-cased tokens, unless another key is their lower case", () => {
  const keys = [...vaderLexicon("head").keys()];
  expect(keys.filter((key) => key !== key.toLowerCase())).toHaveLength(14);
  expect(words(":Þ :-Þ =-D :D O_o o.O")).toEqual([":D", "O_o", "o.O"]);
});

test("the lexicon has the counts that reference/method.md 4.4 measured with spaCy", () => {
  const lexicon = vaderLexicon("head");
  const keys = [...lexicon.keys()];
  const missed = keys.filter((key) => !vaderScore(key, head).tokens.some((token) => token.text.toLowerCase() === key));
  const counts = {
    positive: keys.filter((key) => (lexicon.get(key) ?? 0) > 0).length,
    negative: keys.filter((key) => (lexicon.get(key) ?? 0) < 0).length,
    notAlphabetic: keys.filter((key) => !/^\p{L}+$/u.test(key)).length,
    withoutLetters: keys.filter((key) => !/\p{L}/u.test(key)).length,
    neverAsThemselves: missed.length,
    ofThoseByAPart: missed.filter((key) => vaderScore(key, head).tokens.length > 0).length,
  };
  expect(counts).toEqual({
    positive: 3337,
    negative: 4169,
    notAlphabetic: 297,
    withoutLetters: 178,
    neverAsThemselves: 191,
    ofThoseByAPart: 41,
  });
  expect([Math.min(...lexicon.values()), Math.max(...lexicon.values())]).toEqual([-3.9, 3.4]);
  const cut = keys.filter((key) => /^[a-z]+$/.test(key) && tokenizeEnglish(key).length > 1);
  expect(cut).toEqual([]);
});

test("as a reward it carries its edition in its name, and judges the completion or both as one text", async () => {
  const batch = [
    { prompt: "a great", completion: " heart of gold" },
    { prompt: "gr", completion: "eat and bad" },
  ];
  const scoresOf = async (text: JudgedText) => {
    await using reward = vaderReward({ lexicon: "nltk2016" }, text);
    expect(reward.name).toBe("vader/nltk2016");
    return [...(await reward.score(batch))];
  };
  // The edition of 2016 has no "heart"; the words of a text count wherever the prompt ends.
  const [none, bad, great] = [0, -2.5 / 5, 3.1 / 5];
  expect(await scoresOf("completion")).toEqual([none, bad]);
  expect(await scoresOf("full")).toEqual([great, (3.1 - 2.5) / 5]);
});

test("as ratings of words it has the lexicon's own ends, and finds the words that it rates", () => {
  for (const lexicon of ["head", "nltk2016"] as const) {
    const ratings = vaderRatings({ lexicon });
    const values = [...vaderLexicon(lexicon).values()];
    expect(ratings.lexicon).toBe(lexicon);
    expect(ratings.values).toBe(vaderLexicon(lexicon));
    expect(ratings.range).toEqual({ low: Math.min(...values), high: Math.max(...values) });
    const smaller = values.filter((value) => Math.abs(value) < ratings.typicalSize).length / values.length;
    expect(smaller).toBeGreaterThan(0.9);
    expect(ratings.rated("A GREAT film :)")).toEqual(vaderScore("A GREAT film :)", { lexicon }).tokens);
  }
});

test("a batch that nobody waits for any more is not scored", async () => {
  const reward = vaderReward(head, "completion");
  await expect(reward.score([], AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});

test("scores a completion in well under a millisecond", () => {
  const completions = Array.from(
    { length: 64 },
    (_, i) => `film ${i} isn't "great": ${i}% of the acting's (awful), I'd say...`,
  );
  const score = (): number => {
    const start = cpuMs();
    for (const completion of completions) vaderScore(completion, head);
    return (cpuMs() - start) / completions.length;
  };
  expect(Math.min(score(), score(), score())).toBeLessThan(1);
});
