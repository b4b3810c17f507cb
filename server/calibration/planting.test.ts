import { describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { type Candidate, plantedSet, TooFewWordsError } from "./planting.ts";

/** Sixty positive and forty negative words of all frequencies and sizes of rating. */
const candidates: readonly Candidate[] = Array.from({ length: 100 }, (_, at) => ({
  word: `word${at}`,
  rating: (at < 60 ? 1 : -1) * (0.1 + ((at * 37) % 40) / 10),
  places: 20 + ((at * 53) % 97) ** 2,
}));
const options = { size: 10, minPlaces: 20 };
const setAt = (index: number, seed = 1): Candidate[] =>
  plantedSet(candidates, { ...options, index }, Random.fromSeed(seed));
const wordsOf = (set: readonly Candidate[]): string[] => set.map(({ word }) => word);

describe("sets of planted words", () => {
  it("have no word in common until all are used, and no word twice", () => {
    const round = Array.from({ length: 10 }, (_, index) => wordsOf(setAt(index))).flat();
    expect(new Set(round).size).toBe(100);
    expect(new Set(wordsOf(setAt(10))).size).toBe(10);
    expect(wordsOf(setAt(10))).not.toEqual(wordsOf(setAt(0)));
  });

  it("have each sign, the frequent and the rare, the strong and the weak in their shares", () => {
    const median = (values: readonly number[]): number =>
      values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
    const [places, size] = [
      median(candidates.map((one) => one.places)),
      median(candidates.map(({ rating }) => Math.abs(rating))),
    ];
    for (let index = 0; index < 10; index += 1) {
      const set = setAt(index);
      expect(set).toHaveLength(10);
      const count = (test: (one: Candidate) => boolean): number => set.filter(test).length;
      expect(Math.abs(count(({ rating }) => rating > 0) - 6)).toBeLessThanOrEqual(2);
      expect(Math.abs(count((one) => one.places >= places) - 5)).toBeLessThanOrEqual(2);
      expect(Math.abs(count(({ rating }) => Math.abs(rating) >= size) - 5)).toBeLessThanOrEqual(3);
    }
  });

  it("depend on the seed and on nothing else than the candidates", () => {
    expect(setAt(3)).toEqual(setAt(3));
    expect(plantedSet(candidates.toReversed(), { ...options, index: 3 }, Random.fromSeed(1))).toEqual(setAt(3));
    expect(wordsOf(setAt(3, 2))).not.toEqual(wordsOf(setAt(3)));
  });

  it("need as many words again to stand among", () => {
    const few = candidates.slice(0, 19);
    expect(() => plantedSet(few, { ...options, index: 0 }, Random.fromSeed(1))).toThrow(TooFewWordsError);
    expect(() => plantedSet(few, { ...options, index: 0 }, Random.fromSeed(1))).toThrow(
      /19 rated words have 20 places/,
    );
    expect(plantedSet(candidates.slice(0, 20), { ...options, index: 0 }, Random.fromSeed(1))).toHaveLength(10);
  });
});
