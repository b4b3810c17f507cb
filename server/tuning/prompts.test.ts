import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { loadTokenizer, type Tokenizer } from "../models/tokenizer.ts";
import type { EpochBatches } from "./epoch-batches.ts";
import { TooFewPromptsError } from "./ppo-errors.ts";
import { makePrompts, type Prompt, promptBatches, uniformIn } from "./prompts.ts";
import { TuningModelError } from "./tuning-errors.ts";

const words = "a good film with some of the best acting that one has ever seen, and an awful lot of bad jokes ";
const texts = [
  "Too short.",
  ...Array.from({ length: 60 }, (_, index) => `${index} ${words.repeat(3)}`),
  "https://example.org/".repeat(40),
];
const options = { promptTokens: { min: 2, max: 9 }, minTextCharacters: 200, prependBos: true, bosId: 0 };

describe("prompts from the starter's tokenizer", () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer("assets/starter");
  });
  const made = (over: Partial<typeof options> = {}, seed = 3): Prompt[] =>
    makePrompts(texts, tokenizer, { ...options, ...over }, Random.fromSeed(seed));

  it("are the first tokens of every long text after the beginning-of-text token", () => {
    const prompts = made();
    expect(prompts.map(({ textIndex }) => textIndex)).toEqual(Array.from({ length: 61 }, (_, index) => index + 1));
    for (const { ids, text, textIndex } of prompts) {
      const whole = tokenizer.encode(texts[textIndex] ?? "", { addSpecialTokens: false }).ids;
      expect([...ids]).toEqual([0, ...whole.subarray(0, ids.length - 1)]);
      expect(texts[textIndex]?.startsWith(text)).toBe(true);
    }
    const lengths = new Set(prompts.map(({ ids }) => ids.length - 1));
    expect([...lengths].toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("are decided by the seed", () => {
    expect(made()).toEqual(made());
    expect(made()).not.toEqual(made({}, 4));
  });

  it("take short texts only when told", () => {
    const all = made({ minTextCharacters: 0, prependBos: false });
    expect(all).toHaveLength(texts.length);
    expect("Too short.".startsWith(all[0]?.text ?? "?")).toBe(true);
    expect(all[1]?.ids[0]).not.toBe(0);
  });

  it("leave out a text without tokens, and take one of few tokens whole", () => {
    const few = makePrompts(["", "Good"], tokenizer, { ...options, minTextCharacters: -1 }, Random.fromSeed(1));
    expect(few.map(({ text }) => text)).toEqual(["Good"]);
  });

  it("say so when there is no beginning-of-text token", () => {
    expect(() => makePrompts(texts, tokenizer, { ...options, bosId: undefined }, Random.fromSeed(1))).toThrow(
      TuningModelError,
    );
  });
});

describe("batches", () => {
  const prompts = Array.from({ length: 10 }, (_, textIndex) => ({
    ids: Int32Array.of(textIndex),
    text: "",
    textIndex,
  }));
  const seed = Random.fromSeed(8).state;
  const drawn = (batches: EpochBatches<Prompt>, number: number) =>
    batches.batch(number).map(({ textIndex }) => textIndex);

  it("an epoch gives every prompt at most once, the next one in another order", () => {
    const batches = promptBatches(prompts, 3, seed);
    const epochs = [0, 1].map((epoch) => [0, 1, 2].flatMap((batch) => drawn(batches, 3 * epoch + batch)));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(9);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it("a batch depends on the seed and its number alone", () => {
    const forwards = promptBatches(prompts, 3, seed);
    const backwards = promptBatches(prompts, 3, Random.fromSeed(9).state).withSeed(seed);
    const numbers = [0, 1, 2, 3, 4, 5, 6];
    const expected = numbers.map((number) => drawn(forwards, number));
    const got = numbers.toReversed().map((number) => drawn(backwards, number));
    expect(got.toReversed()).toEqual(expected);
  });

  it("too few prompts are an error with both numbers", () => {
    expect(() => promptBatches(prompts, 11, seed)).toThrow(TooFewPromptsError);
    expect(() => promptBatches(prompts, 11, seed)).toThrow(/10 texts.*needs 11/);
  });
});

it("a range is drawn from ends included", () => {
  const random = Random.fromSeed(2);
  const drawn = Array.from({ length: 2000 }, () => uniformIn({ min: 8, max: 19 }, random));
  const counts = Array.from({ length: 12 }, (_, at) => drawn.filter((number) => number === 8 + at).length);
  expect(counts.reduce((a, b) => a + b)).toBe(2000);
  // 166.7 expected, with a deviation of 12.4.
  for (const count of counts) expect(Math.abs(count - 2000 / 12)).toBeLessThan(62);
});
