import { expect, it } from "vitest";
import { tokenDifference, wordDifference } from "./difference-lens.ts";
import type { PairReading } from "./pair-reading.ts";

const reading = (tokens: readonly (readonly [start: number, end: number, learned: number | null])[]): PairReading => ({
  starts: Int32Array.from(tokens, ([start]) => start),
  ends: Int32Array.from(tokens, ([, end]) => end),
  learned: tokens.map(([, , learned]) => learned),
  kl: tokens.map(() => 1),
});

it("token by token, null where either has no value or no such token", () => {
  const a = reading([
    [0, 2, null],
    [2, 5, 1.5],
    [5, 9, -1],
    [9, 10, 3],
  ]);
  const b = reading([
    [0, 2, 1],
    [2, 5, 0.25],
    [5, 8, 1],
    [8, 10, 1],
  ]);
  expect(tokenDifference(a, b)).toEqual({ ...a, learned: [null, 1.25, null, null], kl: [null, null, null, null] });
});

it("word by word, of sums over each side's own tokens, and nothing between words", () => {
  const text = "so good, no";
  const a = reading([
    [0, 2, 1],
    [2, 7, 2],
    [7, 8, 9],
    [8, 11, null],
  ]);
  const b = reading([
    [0, 1, 0.5],
    [1, 2, 0.25],
    [2, 5, 1],
    [5, 8, -3],
    [8, 11, 1],
  ]);
  const { starts, ends, learned, kl } = wordDifference(a, b, text);
  const places = [...starts].map((start, at) => [text.slice(start, ends[at]), learned[at]]);
  expect(places).toEqual([
    ["so", 0.25],
    [" ", null],
    ["good", 4],
    [", ", null],
    ["no", null],
  ]);
  expect(kl).toEqual([null, null, null, null, null]);
});
