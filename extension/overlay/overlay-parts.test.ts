/** The parts of the overlay that need no editor. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { colouredStretches } from "./colour-stretches.ts";
import { type Coverage, missing, withInterval } from "./coverage.ts";
import { deviceWords } from "./legend.ts";
import { nextToken } from "./next-token.ts";
import { signed, stepFor, strengthStarts, strengths } from "./scale.ts";

it("the legend names a command of the editor where the server's words name one of a terminal", () => {
  const said = "CPU, 2 threads (no GPU adapter: `lfp doctor` says why, `VK_ICD_FILENAMES` is not set)";
  expect(deviceWords(said)).toBe(
    "CPU, 2 threads (no GPU adapter: LFP Lens: Check This Machine says why, VK_ICD_FILENAMES is not set)",
  );
});

describe("the scale", () => {
  it("shows nothing near zero, and each strength from where it starts", () => {
    expect(stepFor(0, 4, "implicit")).toBeUndefined();
    expect(stepFor(null, 4, "implicit")).toBeUndefined();
    expect(stepFor(Number.NaN, 4, "implicit")).toBeUndefined();
    expect(stepFor(0.149 * 4, 4, "implicit")).toBeUndefined();
    for (const strength of strengths) {
      const value = strengthStarts[strength] * 4;
      expect(stepFor(value, 4, "implicit")).toBe(`positive${strength}`);
      expect(stepFor(-value, 4, "disagreement")).toBe(`negative${strength}`);
    }
    expect(stepFor(100, 4, "true")).toBe("positive4");
  });

  it("has a hue of its own for a feature, which is never negative", () => {
    expect(stepFor(3.5, 4, "feature")).toBe("feature4");
    expect(stepFor(-3, 4, "feature")).toBeUndefined();
  });

  it("writes numbers with a sign that is a minus, and zero with none", () => {
    expect([signed(0.314), signed(-1.2), signed(0.001), signed(-0.001)]).toEqual(["+0.31", "−1.20", "0.00", "0.00"]);
  });
});

describe("coloured stretches", () => {
  const limit = 4;

  /** Words with values as one passage, tokens as most tokenizers cut them: each with the space before it. */
  function stretchesOf(
    text: string,
    values: readonly (number | null)[],
    part = { start: 0, end: text.length },
    most = 100,
    unfamiliar: readonly number[] = [],
  ) {
    const tokens = [...text.matchAll(/\s*\S+/g)];
    const passage = {
      start: 0,
      end: text.length,
      tokens: {
        starts: tokens.map(({ index }) => index),
        ends: tokens.map(({ index, 0: token }) => index + token.length),
        values: [...values],
        unfamiliar: [...unfamiliar],
      },
    };
    const textOf = (start: number, end: number): string => text.slice(start, end);
    return colouredStretches([passage], { mode: "implicit", limit, fades: true }, part, textOf, most).map(
      ({ start, end, step }) => `${step} ${text.slice(start, end)}`,
    );
  }

  it("leave out the white space of tokens and join neighbours of one step", () => {
    expect(stretchesOf("a great good film dreadful", [0, 4, 3.9, null, -4])).toEqual([
      "positive4 great good",
      "negative4 dreadful",
    ]);
  });

  it("keep, where the probe extrapolates, the line of strong values alone", () => {
    const text = "so great , and so good . bad";
    expect(stretchesOf(text, [1, 4, 3, -3, 1, 4, -1, -4], undefined, 100, [0, 2, 3, 6])).toEqual([
      "positive4 great",
      "positiveFaded ,",
      "negativeFaded and",
      "positive1 so",
      "positive4 good",
      "negative4 bad",
    ]);
  });

  it("do not cross a line's end", () => {
    expect(stretchesOf("so great\ngreat\r\ngreat", [0, 4, 4, 4])).toEqual([
      "positive4 great",
      "positive4 great",
      "positive4 great",
    ]);
  });

  it("are those of the part that is asked for, and no more than asked for", () => {
    expect(stretchesOf("good bad good", [4, -4, 4], { start: 4, end: 9 })).toEqual(["negative4 bad"]);
    expect(stretchesOf("good bad good", [4, -4, 4], undefined, 2)).toHaveLength(2);
  });

  it("keep to the words with emoji, combining marks and tokens of white space alone", () => {
    expect(stretchesOf("🎬 né\t😀😀", [4, -4, 4])).toEqual(["positive4 🎬", "negative4 né", "positive4 😀😀"]);
    const blank = { start: 0, end: 3, tokens: { starts: [0], ends: [3], values: [4], unfamiliar: [] } };
    expect(colouredStretches([blank], { mode: "implicit", limit, fades: true }, blank, () => "\n\t ", 10)).toEqual([]);
  });
});

describe("coverage", () => {
  const interval = fc.tuple(fc.nat(60), fc.nat(20)).map(([start, length]) => ({ start, end: start + length }));
  const covers = (coverage: Coverage, at: number): boolean =>
    coverage.some(({ start, end }) => start <= at && at < end);

  it("covers what was added and nothing else, in order and without touching parts", () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 12 }), (added) => {
        const coverage = added.reduce<Coverage>(withInterval, []);
        for (let at = 0; at < 80; at++) expect(covers(coverage, at)).toBe(covers(added, at));
        for (const [index, { start }] of coverage.entries()) {
          const before = coverage[index - 1];
          if (before !== undefined) expect(before.end).toBeLessThan(start);
        }
      }),
    );
  });

  it("misses exactly what is wanted and not covered", () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 8 }), interval, (added, wanted) => {
        const coverage = added.reduce<Coverage>(withInterval, []);
        const gaps = missing(coverage, [wanted]);
        for (let at = 0; at < 80; at++) expect(covers(gaps, at)).toBe(covers([wanted], at) && !covers(added, at));
      }),
    );
  });
});

describe("going through strong tokens", () => {
  const tokens = [{ start: 3 }, { start: 10 }, { start: 20 }];

  it("goes to the nearest one in the direction, and round at the ends", () => {
    expect(nextToken(tokens, 3, 1)).toEqual({ start: 10 });
    expect(nextToken(tokens, 20, 1)).toEqual({ start: 3 });
    expect(nextToken(tokens, 10, -1)).toEqual({ start: 3 });
    expect(nextToken(tokens, 0, -1)).toEqual({ start: 20 });
    expect(nextToken([], 0, 1)).toBeUndefined();
  });
});
