import { expect, it } from "vitest";
import type { ReadPassage } from "../../server/protocol/lens.ts";
import { meansOfWords, numbersIn, strongNumbers } from "./shown-numbers.ts";

const passage: ReadPassage = {
  start: 0,
  end: 30,
  tokens: { starts: [0, 5, 10, 15], ends: [4, 9, 14, 19], values: [1, null, -3, 0.1], unfamiliar: [2] },
};

it("numbers are of words with a value, without faded ones where words are faded", () => {
  expect(numbersIn(passage, false).map(({ value }) => value)).toEqual([1, -3, 0.1]);
  expect(numbersIn(passage, true)).toEqual([
    { start: 0, end: 4, value: 1 },
    { start: 15, end: 19, value: 0.1 },
  ]);
});

it("only words with a colour have a number behind them", () => {
  const scale = { mode: "implicit", limit: 4, fades: false } as const;
  expect(strongNumbers([passage], scale).map(({ value }) => value)).toEqual([1, -3]);
});

it("a mean is over the words of its group, and names the one farthest from zero", () => {
  const means = meansOfWords(numbersIn(passage, false), ({ start }) => Math.floor(start / 10));
  expect([...means]).toEqual([
    [0, { mean: 1, count: 1, strongest: { start: 0, end: 4, value: 1 } }],
    [1, { mean: (-3 + 0.1) / 2, count: 2, strongest: { start: 10, end: 14, value: -3 } }],
  ]);
  expect(meansOfWords([], () => 0).size).toBe(0);
});
