import { expect, it } from "vitest";
import { ratedOf } from "./rated-words.ts";

it("of a passage's words those that are rated have a value and a rating; one without a value is left out", () => {
  // "good unfunny bad film"
  const words = { starts: Int32Array.of(0, 5, 13, 17), ends: Int32Array.of(4, 12, 16, 21) };
  const ratings = [
    { text: "good", start: 0, end: 4, valence: 1.9 },
    { text: "unfunny", start: 5, end: 12, valence: -1.5 },
    { text: "bad", start: 13, end: 16, valence: -2.5 },
  ];
  expect(ratedOf({ ...words, values: [null, -0.25, 1, 2], unfamiliar: [2] }, ratings)).toEqual([
    { start: 5, end: 12, rating: -1.5, value: -0.25, isUnfamiliar: false },
    { start: 13, end: 16, rating: -2.5, value: 1, isUnfamiliar: true },
  ]);
});
