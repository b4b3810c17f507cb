import { expect, test } from "vitest";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import { ContextLengthError } from "../models/errors.ts";
import { type PlanOptions, planBatches, TargetPlaceError, targetSequence } from "./collect-plan.ts";

const options: PlanOptions = {
  tokenizer: numberTokenizer,
  contextLength: 20,
  multiToken: "average",
  prefixIds: [],
  tokensPerRun: 32,
};

/** A side whose target is this stretch of the text. */
function side(text: string, target: string) {
  const start = text.indexOf(target);
  return { text, word: target, start, end: start + target.length };
}

test("a sequence ends with the target's last token", () => {
  expect(targetSequence(side("11 12 13 14", "13"), 5, options)).toEqual({
    row: 5,
    ids: Int32Array.of(11, 12, 13),
    places: [2],
  });
});

test("all tokens of a target count, or only the first", () => {
  const word = side("11 12 13 14 15", "12 13 14");
  expect(targetSequence(word, 0, options).places).toEqual([1, 2, 3]);
  const first = targetSequence(word, 0, { ...options, multiToken: "firstPiece" });
  expect(first).toEqual({ row: 0, ids: Int32Array.of(11, 12), places: [1] });
});

test("a token that begins before the target or ends behind it belongs to it", () => {
  expect(targetSequence({ text: "11 123 14", start: 4, end: 5 }, 0, options).places).toEqual([1]);
});

test("prefix ids shift every place", () => {
  const sequence = targetSequence(side("11 12 13", "12"), 0, { ...options, prefixIds: [1, 2] });
  expect(sequence).toEqual({ row: 0, ids: Int32Array.of(1, 2, 11, 12), places: [3] });
});

test("refuses a target without a token and a text beyond the context", () => {
  expect(() => targetSequence({ text: "11 12", start: 2, end: 3 }, 0, options)).toThrow(TargetPlaceError);
  const long = side(Array.from({ length: 21 }, (_, i) => 100 + i).join(" "), "120");
  expect(() => targetSequence(long, 0, options)).toThrow(ContextLengthError);
  expect(() => targetSequence(long, 0, options)).toThrow(/needs 21 tokens but the model's context holds 20/);
});

test("batches hold every sequence once, within their bucket's shape", () => {
  const sequences = Array.from({ length: 57 }, (_, row) => {
    const length = 1 + ((row * 7) % 20);
    return {
      row,
      ids: new Int32Array(length),
      places: row % 5 === 0 && length > 2 ? [length - 3, length - 2, length - 1] : [length - 1],
    };
  });
  const batches = planBatches(sequences, options);
  const rows = batches.flatMap((batch) => batch.sequences.map(({ row }) => row));
  expect(rows.toSorted((a, b) => a - b)).toEqual([...sequences.keys()]);
  for (const { bucket, sequences: members } of batches) {
    expect(members.length).toBeLessThanOrEqual(bucket.texts);
    expect(members.length).toBeGreaterThan(0);
    expect(bucket.texts * bucket.tokens).toBeLessThanOrEqual(32);
    expect(bucket.tokens).toBeLessThanOrEqual(options.contextLength);
    expect(members.flatMap(({ places }) => places).length).toBeLessThanOrEqual(bucket.targets);
    for (const { ids } of members) expect(ids.length).toBeLessThanOrEqual(bucket.tokens);
  }
  expect(batches.map(({ bucket }) => bucket.tokens)).toEqual(
    batches.map(({ bucket }) => bucket.tokens).toSorted((a, b) => a - b),
  );
  expect(planBatches([], options)).toEqual([]);
});

test("what a tokenizer's post-processor would put around a text is left out: the prefix alone stands before it", () => {
  const adding: PlanOptions["tokenizer"] = {
    ...numberTokenizer,
    encode: (text, { addSpecialTokens = true } = {}) => {
      const { ids, ranges } = numberTokenizer.encode(text);
      if (!addSpecialTokens) return { ids, ranges };
      return { ids: Int32Array.of(2, ...ids), ranges: [{ start: 0, end: 0 }, ...ranges] };
    },
  };
  const sequence = targetSequence(side("11 12 13", "12"), 0, { ...options, tokenizer: adding, prefixIds: [2] });
  expect(sequence).toEqual({ row: 0, ids: Int32Array.of(2, 11, 12), places: [2] });
});
