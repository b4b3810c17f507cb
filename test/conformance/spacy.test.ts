/** The tokenizer and the VADER reward against spaCy itself: values stored by test/fixtures/spacy/make_spacy.py. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { z } from "zod";
import { byCodeUnit } from "../../server/common/order.ts";
import { alpha, alphaLower, alphaUpper, icons } from "../../server/rewards/spacy-english/character-classes.ts";
import { englishExceptions } from "../../server/rewards/spacy-english/exceptions.ts";
import { tokenizeEnglish } from "../../server/rewards/spacy-english/tokenizer.ts";
import { vaderScore } from "../../server/rewards/vader.ts";
import { vaderLexicon } from "../../server/rewards/vader-lexicon.ts";

const root = resolve(import.meta.dirname, "../..");
const shared = process.env["LFP_SHARED"] ?? resolve(root, "../shared");

const fact = z.strictObject({ count: z.number(), sha256: z.string() });
const sums = z.tuple([z.number(), z.number()]);
const versions = { spacy: z.string(), python: z.string(), unicode: z.string() };
const golden = z
  .strictObject({
    ...versions,
    exceptions: fact,
    classes: z.strictObject({ alpha: fact, alphaLower: fact, alphaUpper: fact, icons: fact }),
    lexicons: z.strictObject({ head: fact, nltk2016: fact }),
    strings: z.array(z.tuple([z.string(), z.array(z.string()), sums])),
  })
  .parse(fixture("strings.json"));
const review = z.tuple([z.number(), z.string(), sums]);
const goldenReviews = z
  .strictObject({ ...versions, train: z.array(review), test: z.array(review) })
  .parse(fixture("reviews.json"));

test("every one of our own strings has spaCy's tokens", () => {
  expect(golden.strings.length).toBeGreaterThanOrEqual(1200);
  const ours = golden.strings.map(([text]) => [text, tokenizeEnglish(text).map((token) => token.text)]);
  expect(ours).toEqual(golden.strings.map(([text, tokens]) => [text, tokens]));
});

test("every one of our own strings has the sums of both lexicons", () => {
  const ours = golden.strings.map(([text]) => [text, roundedSums(text)]);
  expect(ours).toEqual(golden.strings.map(([text, , expected]) => [text, expected]));
  expect(golden.strings.filter(([, , [head]]) => head !== 0).length).toBeGreaterThan(200);
});

test.for(["train", "test"] as const)(
  "IMDb %s reviews have spaCy's tokens and sums (needs shared/data/imdb)",
  (split, { skip }) => {
    const path = join(shared, "data/imdb", `${split}.jsonl.gz`);
    if (!existsSync(path)) skip(`no ${path}: set LFP_SHARED to the folder that holds data/imdb`);
    const lines = gunzipSync(readFileSync(path)).toString("utf8").split("\n");
    const expected = goldenReviews[split];
    expect(expected.length).toBeGreaterThanOrEqual(700);
    const ours = expected.map(([number]) => {
      const { text } = z.object({ text: z.string() }).parse(JSON.parse(lines[number - 1] ?? ""));
      const tokens = tokenizeEnglish(text).map((token) => token.text);
      return [number, sha256(tokens.join("\u0001")).slice(0, 16), roundedSums(text)];
    });
    // Compared as numbers of lines, so that a failure prints no review.
    const differing = expected.filter((row, index) => JSON.stringify(row) !== JSON.stringify(ours[index]));
    expect(differing.map(([number]) => number)).toEqual([]);
  },
);

test("the exception table is spaCy's, entry by entry", () => {
  const lines = [...englishExceptions()].map(([key, pieces]) => [key, ...pieces].join("\u0001")).sort(byCodeUnit);
  expect({ count: lines.length, sha256: sha256(lines.join("\n")) }).toEqual(golden.exceptions);
});

test.each(Object.entries({ alpha, alphaLower, alphaUpper, icons }))(
  "the class %s has spaCy's code points",
  (name, members) => {
    const inClass = new RegExp(`^[${members}]$`, "v");
    const points: string[] = [];
    for (let point = 0; point < 0x110000; point++)
      if ((point < 0xd800 || point > 0xdfff) && inClass.test(String.fromCodePoint(point)))
        points.push(point.toString(16));
    const expected = Object.entries(golden.classes).find(([key]) => key === name)?.[1];
    expect({ count: points.length, sha256: sha256(points.join(" ")) }).toEqual(expected);
  },
);

test.each(["head", "nltk2016"] as const)("the lexicon %s has the file's ratings in the file's order", (edition) => {
  const lexicon = vaderLexicon(edition);
  const lines = Array.from(lexicon, ([key, rating]) => `${key}\t${rating.toFixed(1)}`);
  expect({ count: lexicon.size, sha256: sha256(lines.join("\n")) }).toEqual(golden.lexicons[edition]);
});

function roundedSums(text: string): number[] {
  // Adding 0 turns Python's and our own -0 into 0.
  return (["head", "nltk2016"] as const).map(
    (lexicon) => Math.round(vaderScore(text, { lexicon }).sum * 1e6) / 1e6 + 0,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function fixture(name: string): unknown {
  return JSON.parse(readFileSync(join(root, "test/fixtures/spacy", name), "utf8"));
}
