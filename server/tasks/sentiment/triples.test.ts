import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { loadTokenizer, type Tokenizer } from "../../models/tokenizer.ts";
import { vaderRatings } from "../../rewards/vader.ts";
import { type SourceText, sides, type TripleSet, tripleSchema } from "../task.ts";
import { quartileWords } from "./polar-words.ts";
import { sentimentTask } from "./sentiment-task.ts";
import { defaultTripleSettings, makeSentimentTriples } from "./triples.ts";
import { countWords } from "./word-counts.ts";

const starter = fileURLToPath(new URL("../../../assets/starter", import.meta.url));
const ratings = vaderRatings({ lexicon: "nltk2016" });
const lexicon = ratings.values;
const polar = quartileWords(lexicon);

function starterReviews(count: number): SourceText[] {
  const lines = readFileSync(`${starter}/reviews.jsonl`, "utf8").split("\n").slice(0, count);
  return lines.map((line, at) => ({ id: `starter/${at}`, text: reviewSchema.parse(JSON.parse(line)).text }));
}

const reviewSchema = z.object({ text: z.string() });

describe("triples of the starter's reviews", () => {
  let tokenizer: Tokenizer;
  let texts: SourceText[];
  let set: TripleSet;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(starter);
    texts = starterReviews(400);
    set = await sentimentTask(ratings).makeTriples(texts, { seed: 7, tokenizer });
  });

  it("are many, from both polarities, and every field is as the schema says", () => {
    expect(set.triples.length).toBeGreaterThan(300);
    expect(set.counts.triples).toBe(set.triples.length);
    for (const original of ["positive", "negative"])
      expect(set.triples.filter((triple) => triple.original === original).length).toBeGreaterThan(50);
    for (const triple of set.triples) expect(tripleSchema.parse(triple)).toEqual(triple);
    expect(new Set(set.triples.map(({ id }) => id)).size).toBe(set.triples.length);
  });

  it("have the target word exactly in its place, of the right list and in the same letter case", () => {
    for (const triple of set.triples) {
      for (const side of sides) {
        const { text, word, start, end } = triple[side];
        expect(text.slice(start, end).toLowerCase()).toBe(word);
        expect(/\p{L}/u.test(text[start - 1] ?? " ")).toBe(false);
        expect(/\p{L}/u.test(text[end] ?? " ")).toBe(false);
      }
      expect(polar.positive.has(triple.positive.word)).toBe(true);
      expect(polar.negative.has(triple.negative.word)).toBe(true);
      expect(lexicon.has(triple.neutral.word)).toBe(false);
      const capitals = sides.map((side) => /^\p{Lu}/u.test(triple[side].text.slice(triple[side].start)));
      expect(new Set(capitals).size).toBe(1);
    }
  });

  it("differ from the source's wording in polar words only, and not before the target", () => {
    const byId = new Map(texts.map((text) => [text.id, text.text]));
    for (const triple of set.triples) {
      const own = triple[triple.original];
      expect(byId.get(triple.source)).toContain(own.text);
      for (const side of sides) {
        expect(triple[side].start).toBe(own.start);
        expect(triple[side].text.slice(0, own.start)).toBe(own.text.slice(0, own.start));
        const kept = (text: string) => text.replaceAll(/\p{L}+(?:['’-]\p{L}+)*/gu, "w");
        expect(kept(triple[side].text)).toBe(kept(own.text));
      }
    }
  });

  it("have no word of the other polarity left in any version", () => {
    const wordsOf = (text: string) => [...countWords([text]).keys()];
    for (const { positive, neutral, negative } of set.triples) {
      expect(wordsOf(positive.text).filter((word) => polar.negative.has(word))).toEqual([]);
      expect(wordsOf(negative.text).filter((word) => polar.positive.has(word))).toEqual([]);
      expect(wordsOf(neutral.text).filter((word) => polar.positive.has(word) || polar.negative.has(word))).toEqual([]);
    }
  });

  it("have equally many target tokens in most cases, and the count says in how many", () => {
    const targetTokens = ({ text, start, end }: { text: string; start: number; end: number }) =>
      tokenizer.encode(text).ranges.filter((range) => range.start < end && range.end > start).length;
    const equal = set.triples.filter((triple) => new Set(sides.map((side) => targetTokens(triple[side]))).size === 1);
    expect(set.counts.equalTokens).toBe(equal.length);
    expect(equal.length / set.triples.length).toBeGreaterThan(0.7);
  });

  it("use no word more often than allowed, and only the chosen ones", async () => {
    const settings = { ...defaultTripleSettings, maxPerWord: 4, wordsPerList: 20 };
    const { triples, counts } = await makeSentimentTriples(texts, lexicon, settings, { seed: 7, tokenizer });
    for (const side of ["positive", "negative"] as const) {
      const uses = Map.groupBy(triples, (triple) => triple[side].word);
      expect(uses.size).toBeLessThanOrEqual(20);
      expect(Math.max(...[...uses.values()].map((group) => group.length))).toBeLessThanOrEqual(4);
    }
    expect(counts.overCap).toBeGreaterThan(0);
    expect(counts.unlisted).toBeGreaterThan(0);
    const all = counts.positivePassages + counts.negativePassages;
    expect(triples.length + counts.overCap + counts.unlisted + counts.tooLong).toBe(all);
  });

  it("are balanced where a limit is set", async () => {
    const { triples } = await makeSentimentTriples(texts, lexicon, defaultTripleSettings, {
      seed: 7,
      tokenizer,
      limit: 100,
    });
    expect(triples).toHaveLength(100);
    const positive = triples.filter(({ original }) => original === "positive").length;
    expect(Math.abs(positive - 50)).toBeLessThanOrEqual(10);
  });

  it("stand within the tokens allowed", async () => {
    const settings = { ...defaultTripleSettings, maxTargetTokens: 6 };
    const { triples, counts } = await makeSentimentTriples(texts, lexicon, settings, { seed: 7, tokenizer });
    expect(counts.tooLong).toBeGreaterThan(0);
    expect(triples.length).toBeGreaterThan(0);
    for (const triple of triples) {
      for (const side of sides)
        expect(tokenizer.encode(triple[side].text.slice(0, triple[side].end)).ids.length).toBeLessThanOrEqual(6);
    }
  });

  it("are given up within a text's time once someone asks to stop, and nothing keeps that from being heard", async () => {
    const stop = new AbortController();
    // Neither has an end of its own.
    const endless = (function* () {
      for (let at = 0; ; at++) yield { id: `t${at}`, text: texts[at % texts.length]?.text ?? "" };
    })();
    const made = sentimentTask(ratings).makeTriples(endless, { seed: 7, signal: stop.signal });
    setImmediate(() => stop.abort(new Error("enough")));
    await expect(made).rejects.toThrow("enough");
  });

  it("depend on the seed alone", async () => {
    const again = async (seed: number) =>
      JSON.stringify(await sentimentTask(ratings).makeTriples(texts, { seed, tokenizer }));
    expect(await again(7)).toBe(JSON.stringify(set));
    expect(await again(8)).not.toBe(JSON.stringify(set));
  });
});

describe("triples of texts made for it", () => {
  const settings = { ...defaultTripleSettings, minNeutralCount: 1 };
  const make = (...texts: string[]) =>
    makeSentimentTriples(
      texts.map((text, index) => ({ id: `t${index}`, text })),
      lexicon,
      settings,
      { seed: 1 },
    );
  const others = "The table stood there. What a terrible day.";

  it("replace every polar word; the first is the target", async () => {
    const { triples } = await make("I LOVE this great movie.", others);
    const love = triples.find(({ source }) => source === "t0");
    expect(love?.positive).toEqual({ text: "I LOVE this great movie.", word: "love", start: 2, end: 6 });
    expect(love?.negative.text).toBe("I TERRIBLE this terrible movie.");
    expect(love?.negative).toMatchObject({ word: "terrible", start: 2, end: 10 });
    expect(love?.neutral.text).toMatch(/^I [A-Z]+ this [a-z]+ movie\.$/);
    const terrible = triples.find(({ source }) => source === "t1");
    expect(terrible).toMatchObject({ original: "negative", id: "t1#1" });
    expect(["love", "great"]).toContain(terrible?.positive.word);
  });

  it("leave out sentences of both polarities, of none, and repeated ones", async () => {
    const { counts, triples } = await make(
      "A great and terrible day.",
      "It was a great day.",
      "It was a great day.",
      others,
    );
    expect(triples.map(({ source }) => source).toSorted()).toEqual(["t1", "t3"]);
    expect(counts).toMatchObject({ texts: 4, passages: 5, positivePassages: 1, negativePassages: 1, equalTokens: 0 });
  });

  it("are none where the texts have no word to put in the place", async () => {
    expect((await make("It was a great day.")).triples).toEqual([]);
    expect((await make()).counts).toMatchObject({ texts: 0, triples: 0 });
  });
});

it("words are counted by their lower-case form, as triples see them", async () => {
  expect(countWords(["Good, GOOD and -good-! 10/10", "well-made"])).toEqual(
    new Map([
      ["good", 3],
      ["and", 1],
      ["well", 1],
      ["made", 1],
    ]),
  );
});
