import { expect, it } from "vitest";
import type { PairReading } from "../../lens/pair-reading.ts";
import { learnedWords, probeWords } from "./rated-words.ts";

// "good unfunny bad" as good | _un | funny | _bad
const text = "good unfunny bad";
const places = { starts: Int32Array.of(0, 4, 7, 12), ends: Int32Array.of(4, 7, 12, 16) };
const ratings = [
  { text: "good", start: 0, end: 4, valence: 1.9 },
  { text: "unfunny", start: 5, end: 12, valence: -1.5 },
  { text: "bad", start: 13, end: 16, valence: -2.5 },
];

it("a rated word's log-ratio is the sum over its tokens; one without any is left out", () => {
  const reading: PairReading = { ...places, learned: [null, 0.5, -0.75, 1], kl: [0, 0, 0, 0] };
  expect(learnedWords(text, reading, ratings)).toEqual([
    { start: 5, end: 12, rating: -1.5, value: -0.25, familiarity: 0 },
    { start: 13, end: 16, rating: -2.5, value: 1, familiarity: 0 },
  ]);
});

it("a rated word's reading by the probe is the mean over its tokens", () => {
  const reading = { ...places, trueReward: [1.9, -1.5, -1.5, -2.5], familiarity: Float64Array.of(0.5, 1, 2, 0) };
  expect(probeWords(text, reading, [3, 1, 2, -1])).toEqual([
    { start: 0, end: 4, rating: 1.9, value: 3, familiarity: 0.5 },
    { start: 5, end: 12, rating: -1.5, value: 1.5, familiarity: 1.5 },
    { start: 13, end: 16, rating: -2.5, value: -1, familiarity: 0 },
  ]);
});
