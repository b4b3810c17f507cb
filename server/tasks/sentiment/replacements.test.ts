import { expect, test } from "vitest";
import { Random } from "../../common/random.ts";
import { type PoolOptions, ReplacementPool } from "./replacements.ts";
import { endingOf, inCase, letterCaseOf, startsWithVowel } from "./word-shape.ts";

/** A pool in which every word occurs once and has one token, unless told. */
function poolOf(words: readonly string[], options: Partial<PoolOptions> = {}) {
  return new ReplacementPool({
    words,
    frequencyOf: () => 1,
    tokensOf: () => 1,
    random: Random.fromSeed(1),
    maxUses: 3,
    ...options,
  });
}

const slot = { written: "good", before: "a very " };
/** Nine words, so that exactly one of them is not among the eight cheapest. */
const nine = ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"];

function chosenOf(pool: ReplacementPool, where = slot, times = 200): Set<string> {
  return new Set(Array.from({ length: times }, () => pool.choose(where)?.word ?? ""));
}

test("the eight cheapest are drawn from, and nothing else", () => {
  expect([...chosenOf(poolOf([...nine, "zzly"]))].toSorted()).toEqual(nine);
});

test.each([
  ["another number of tokens", { tokensOf: (text: string) => (text === " odd" ? 2 : 1) }, slot],
  ["another frequency", { frequencyOf: (word: string) => (word === "odd" ? 64 : 1) }, slot],
  ["a vowel after 'a'", {}, { written: "good", before: "such a " }],
])("avoids %s", (_, options, where) => {
  const words = nine.map((word) => (word === "aa" || word === "ee" ? `b${word}` : word));
  expect(chosenOf(poolOf([...words, "odd"], options), where).has("odd")).toBe(false);
  expect(chosenOf(poolOf([...words.slice(1), "odd"], options), where).has("odd")).toBe(true);
});

test("prefers words used less, and leaves out those used up", () => {
  const pool = poolOf([...nine, "rare"], { maxUses: 2 });
  for (const word of nine) pool.use(word);
  expect(chosenOf(pool).has("rare")).toBe(true);
  for (const word of nine) pool.use(word);
  expect([...chosenOf(pool)]).toEqual(["rare"]);
  expect([pool.has("aa"), pool.hasRoom("aa"), pool.hasRoom("rare"), pool.has("none")]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  pool.use("rare");
  pool.use("rare");
  expect(pool.choose(slot)).toBeUndefined();
});

test("words that do not occur are no candidates", () => {
  const pool = poolOf(["here", "absent"], { frequencyOf: (word) => (word === "absent" ? 0 : 2) });
  expect([...chosenOf(pool)]).toEqual(["here"]);
  expect(pool.has("absent")).toBe(false);
});

test("the letter case is that of the word replaced, and tokens are counted as the word will stand", () => {
  const asked: string[] = [];
  const pool = poolOf(["bad"], {
    tokensOf: (text) => {
      asked.push(text);
      return 1;
    },
  });
  expect(pool.choose({ written: "GOOD", before: "so " })?.written).toBe("BAD");
  expect(pool.choose({ written: "Good", before: "" })?.written).toBe("Bad");
  expect(pool.choose({ written: "good", before: "(" })?.written).toBe("bad");
  expect(asked).toEqual([" GOOD", " BAD", "Good", "Bad", "good", "bad"]);
});

test("letter case, endings and first letters of words", () => {
  expect(["good", "Good", "GOOD", "I", "iPhone"].map(letterCaseOf)).toEqual([
    "lower",
    "capitalised",
    "upper",
    "capitalised",
    "capitalised",
  ]);
  expect([inCase("émile", "capitalised"), inCase("bad", "upper"), inCase("bad", "lower")]).toEqual([
    "Émile",
    "BAD",
    "bad",
  ]);
  expect(
    ["badly", "loving", "hated", "worst", "best", "wins", "loss", "famous", "sadness", "good"].map(endingOf),
  ).toEqual(["ly", "ing", "ed", "", "est", "s", "", "", "ness", ""]);
  expect(["awful", "good"].map(startsWithVowel)).toEqual([true, false]);
});
