/** Behaviour by example and by law; equality with spaCy's stored tokens is in test/conformance/spacy.test.ts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cpuMs } from "../../../test/support/cpu-time.ts";
import { englishExceptions } from "./exceptions.ts";
import { suffixLength } from "./rules.ts";
import { tokenizeEnglish } from "./tokenizer.ts";

const tokens = (text: string): string[] => tokenizeEnglish(text).map((token) => token.text);

test.each([
  ["film.<br /><br />The", ["film.<br", "/><br", "/>The"]],
  ["great<br", ["great", "<", "br"]],
  ["<br", ["<", "br"]],
  [":) ;) :( <3 8)", [":)", ";)", ":(", "<3", "8)"]],
])("reads %j as spaCy does", (text, expected) => {
  expect(tokens(text)).toEqual(expected);
});

test.each([
  "-great",
  "great-",
  "great--",
  "@great",
  "good!Bad",
  "good)bad",
  "good&bad",
  "good;bad",
  "good.bad",
  "rock'n'roll",
  "great\u0097bad",
  "great\ufeffbad",
  "love<3",
  "U.S.",
  "A.I.",
  "DON'T",
  "joe@example.com",
])("keeps %j whole", (text) => {
  expect(tokens(text)).toEqual([text]);
});

test.each(["--", "/", ":", "=", ",", "...", "-", "—", "…"])("splits words at %j", (infix) => {
  expect(tokens(`good${infix}bad`)).toEqual(["good", infix, "bad"]);
});

test("splits a full stop before a capital only", () => {
  expect(tokens("good.Bad")).toEqual(["good", ".", "Bad"]);
  expect(tokens("GOOD.Bad")).toEqual(["GOOD.Bad"]);
});

test("exceptions hold exactly, with either apostrophe, and only in their own case", () => {
  expect(tokens("don't can’t cannot Gonna 5pm 13pm its it's")).toEqual([
    "do",
    "n't",
    "ca",
    "n’t",
    "can",
    "not",
    "Gon",
    "na",
    "5",
    "pm",
    "13pm",
    "its",
    "it",
    "'s",
  ]);
  expect(tokens("Mr. Xr. e.g. E.g. etc.")).toEqual(["Mr.", "Xr", ".", "e.g.", "E.g.", "etc", "."]);
});

test("pieces of every exception spell it", () => {
  for (const [key, pieces] of englishExceptions()) {
    expect(pieces.join("")).toBe(key);
    expect(tokens(key)).toEqual([...pieces]);
  }
});

test("exceptions that the rules cut are joined again, unless a space stands between", () => {
  expect(tokens("great:(")).toEqual(["great", ":("]);
  expect(tokens("(film):)")).toEqual(["(", "film", "):", ")"]);
  expect(tokens("Mr .")).toEqual(["Mr", "."]);
});

test("a longer match that stands apart still blocks the shorter one inside it", () => {
  expect(tokens("x :(y")).toEqual(["x", ":(", "y"]);
  // ">" ":" "(" reads like ">:(" but for the space; spaCy then leaves all three alone.
  expect(tokens("x> :(y")).toEqual(["x", ">", ":", "(", "y"]);
});

test("one space is dropped, other whitespace is a token, by Python's notion of whitespace", () => {
  expect(tokens("a b  c \n d\n\ne ")).toEqual(["a", "b", " ", "c", "\n ", "d", "\n\n", "e"]);
  expect(tokens(" a")).toEqual([" ", "a"]);
  expect(tokens("a\x1cb\x85c\u00a0d\u3000e")).toEqual(["a", "\x1c", "b", "\x85", "c", "\u00a0", "d", "\u3000", "e"]);
  expect(tokens("")).toEqual([]);
});

test("places are UTF-16 units, also behind astral characters", () => {
  expect(tokenizeEnglish("😀great 👍🏽!")).toEqual([
    { text: "😀", start: 0, end: 2 },
    { text: "great", start: 2, end: 7 },
    { text: "👍", start: 8, end: 10 },
    { text: "🏽", start: 10, end: 12 },
    { text: "!", start: 12, end: 13 },
  ]);
});

test("tokens stand where they say and leave out nothing but single spaces", () => {
  const fragment = fc.oneof(
    fc.constantFrom(...englishExceptions().keys()),
    fc.constantFrom(".", "...", "(", ")", "'", '"', "<br />", "great", "5km", "$", "😀", " ", "  ", "\n", "\ud800"),
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 12 }), (fragments) => {
      const text = fragments.join("");
      let rebuilt = "";
      for (const { text: token, start, end } of tokenizeEnglish(text)) {
        if (start === rebuilt.length + 1) rebuilt += " ";
        if (start !== rebuilt.length || end !== start + token.length || token === "") return false;
        rebuilt += token;
      }
      return text === rebuilt || text === `${rebuilt} `;
    }),
    { numRuns: 400 },
  );
});

test("a chunk's tokens do not depend on what was read before", () => {
  const before = tokens("great:)...");
  for (let word = 0; word < 20_000; word++) tokenizeEnglish(`w${word}:)`);
  expect(tokens("great:)...")).toEqual(before);
});

test("a run of full stops comes off whole, however long", () => {
  for (const count of [2, 23, 24, 25, 1000]) expect(suffixLength(`great${".".repeat(count)}`)).toBe(count);
  expect(suffixLength(`${"x".repeat(50)}.`)).toBe(1);
  expect(suffixLength("x".repeat(50))).toBe(0);
});

test.each(["(", "'", "😀", ":)", ".", "a.@", "a-", "://", "5km", "a.b,"])(
  "reads 100,000 characters of %j in linear time",
  (unit) => {
    const text = unit.repeat(100_000 / unit.length);
    const start = cpuMs();
    tokenizeEnglish(text);
    // A quadratic pass would take minutes.
    expect(cpuMs() - start).toBeLessThan(10_000);
  },
);
