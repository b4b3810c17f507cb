import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../common/random.ts";
import type { Triple } from "../tasks/task.ts";
import { splitByTriple, splitByWord, TooFewTriplesError } from "./splits.ts";

function tripleOf(positive: string, negative: string): Triple {
  const side = (word: string) => ({ text: word, word, start: 0, end: word.length });
  return {
    id: "t",
    source: "s",
    original: "positive",
    positive: side(positive),
    neutral: side("film"),
    negative: side(negative),
  };
}

function triplesOf(pairs: readonly (readonly [number, number])[]): Triple[] {
  return pairs.map(([p, n]) => tripleOf(`good${p}`, `bad${n}`));
}

test("by triple: four fifths are trained on, and a triple's two rows stay together", () => {
  const { folds } = splitByTriple(103, 0.8, Random.fromSeed(1));
  const [fold] = folds;
  expect(folds).toHaveLength(1);
  expect([fold?.train.length, fold?.test.length]).toEqual([164, 42]);
  const triplesIn = (rows: Int32Array | undefined) => new Set(Array.from(rows ?? [], (row) => row % 103));
  expect(triplesIn(fold?.train).size).toBe(82);
  expect([...triplesIn(fold?.train)].filter((triple) => triplesIn(fold?.test).has(triple))).toEqual([]);
  expect(splitByTriple(103, 0.8, Random.fromSeed(1))).toEqual(splitByTriple(103, 0.8, Random.fromSeed(1)));
  expect(splitByTriple(103, 0.8, Random.fromSeed(2))).not.toEqual(splitByTriple(103, 0.8, Random.fromSeed(1)));
});

test("by word: no word and no triple on both sides, every row tested once", () => {
  const pairs = fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { minLength: 60, maxLength: 120 });
  fc.assert(
    fc.property(pairs, fc.integer({ min: 2, max: 4 }), fc.nat(99), (chosen, folds, seed) => {
      const triples = triplesOf(chosen);
      const words = [...triples.map((t) => t.positive.word), ...triples.map((t) => t.negative.word)];
      const split = splitByWord(triples, folds, Random.fromSeed(seed));
      const tested: number[] = [];
      for (const { train, test: held } of split.folds) {
        const setOf = <T>(rows: Int32Array, of: (row: number) => T) => new Set(Array.from(rows, of));
        const word = (row: number) => words[row];
        const triple = (row: number) => row % triples.length;
        expect([...setOf(train, word)].filter((w) => setOf(held, word).has(w))).toEqual([]);
        expect([...setOf(train, triple)].filter((t) => setOf(held, triple).has(t))).toEqual([]);
        tested.push(...held);
      }
      expect(tested.toSorted((a, b) => a - b)).toEqual(words.map((_, row) => row));
    }),
    { numRuns: 50 },
  );
});

test("by word: both polarities are dealt evenly", () => {
  const triples = triplesOf(Array.from({ length: 200 }, (_, i) => [i % 25, (i * 3) % 20] as const));
  const { folds } = splitByWord(triples, 5, Random.fromSeed(4));
  for (const { test: held } of folds) {
    expect(
      new Set(
        Array.from(held)
          .filter((row) => row < 200)
          .map((row) => triples[row]?.positive.word),
      ).size,
    ).toBe(5);
    expect(
      new Set(
        Array.from(held)
          .filter((row) => row >= 200)
          .map((row) => triples[row - 200]?.negative.word),
      ).size,
    ).toBe(4);
  }
});

test("refuses too few triples or words", () => {
  expect(() => splitByTriple(2, 0.8, Random.fromSeed(1))).toThrow(TooFewTriplesError);
  expect(() =>
    splitByWord(
      triplesOf([
        [1, 1],
        [1, 1],
      ]),
      2,
      Random.fromSeed(1),
    ),
  ).toThrow(/give more texts/);
  expect(() => splitByWord(triplesOf([[1, 1]]), 1, Random.fromSeed(1))).toThrow(/2 folds or more/);
  expect(() => splitByTriple(100, 1, Random.fromSeed(1))).toThrow(/between 0 and 1/);
});
