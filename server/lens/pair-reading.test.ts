import { describe, expect, it } from "vitest";
import { learnedAt, type PairReading, pairReadingOf, wordsOf } from "./pair-reading.ts";
import { tokenSpan } from "./words.ts";

/** A reading of pieces, each with its number. */
function readingOf(pieces: readonly (readonly [text: string, learned: number | null])[]): {
  text: string;
  reading: PairReading;
} {
  const text = pieces.map(([piece]) => piece).join("");
  let at = 0;
  const ends = pieces.map(([piece]) => (at += piece.length));
  return {
    text,
    reading: {
      starts: Int32Array.from(ends, (end, token) => end - (pieces[token]?.[0].length ?? 0)),
      ends: Int32Array.from(ends),
      learned: pieces.map(([, learned]) => learned),
      kl: pieces.map((_, token) => token),
    },
  };
}

describe("the reading of two models", () => {
  it("sums the log-ratios of tokens that share characters, and takes the divergence after the last", () => {
    const ranges = [
      { start: 0, end: 0 },
      { start: 0, end: 4 },
      { start: 4, end: 6 },
      { start: 4, end: 6 },
      { start: 6, end: 7 },
    ];
    const logRatio = Float64Array.of(9, Number.NaN, 0.5, -2, 0.25);
    const { starts, ends, learned, kl } = pairReadingOf(ranges, {
      logRatio,
      kl: Float64Array.of(9, 1, 2, 3, Number.NaN),
    });
    expect([...starts]).toEqual([0, 4, 6]);
    expect([...ends]).toEqual([4, 6, 7]);
    expect(learned).toEqual([null, -1.5, 0.25]);
    expect(kl).toEqual([1, 3, null]);
  });

  it("sums words over their pieces, whatever stands between words", () => {
    const { text, reading } = readingOf([
      ["Un", 1],
      ["believ", 2],
      ["able", 4],
      [",", 100],
      [" don", 8],
      ["'t", 16],
      ["  ", 100],
      [" go", 32],
      ["!", 100],
    ]);
    const words = wordsOf(reading, text);
    expect(words.map((word) => [word.text, word.learned, word.kl])).toEqual([
      ["Unbelievable", 7, 2],
      ["don't", 24, 5],
      ["go", 32, 7],
    ]);
    for (const { start, end, text: own } of words) expect(text.slice(start, end)).toBe(own);
  });

  it("gives no sum where a piece has no number", () => {
    const { text, reading } = readingOf([
      ["won", null],
      ["der", 1],
      [" so", 2],
    ]);
    expect(wordsOf(reading, text).map(({ learned }) => learned)).toEqual([null, 2]);
  });

  it("takes for a word what the feedback rates, where Unicode sees none or another", () => {
    const { text, reading } = readingOf([
      ["so", 1],
      [" :", 2],
      [")", 4],
      [" well", 8],
      ["-", 16],
      ["made", 32],
      [" x", 64],
    ]);
    const rated = [
      { start: 3, end: 5 },
      { start: 6, end: 15 },
    ];
    expect(wordsOf(reading, text, rated).map((word) => [word.text, word.learned])).toEqual([
      ["so", 1],
      [":)", 6],
      ["well-made", 56],
      ["x", 64],
    ]);
    expect(wordsOf(reading, text).map((word) => word.text)).toEqual(["so", "well", "made", "x"]);
  });

  it("tells of a token what it is part of", () => {
    const { text, reading } = readingOf([
      ["good", 1],
      ["ness", 2],
      [".", 4],
    ]);
    expect(learnedAt(reading, text, tokenSpan(reading, 1))).toEqual({
      logRatio: 2,
      word: { start: 0, end: 8, text: "goodness", sum: 3 },
      kl: 1,
    });
    expect(learnedAt(reading, text, tokenSpan(reading, 2))).toEqual({ logRatio: 4, word: null, kl: 2 });
  });
});
