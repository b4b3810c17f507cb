import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clipped, moved, within } from "./selected-parts.ts";

describe("parts of a text that is edited", () => {
  const part = { start: 10, end: 20 };
  const after = (rangeOffset: number, rangeLength: number, text: string) =>
    moved([part], { rangeOffset, rangeLength, text });

  it.each([
    [25, 3, "xx", [part]],
    [20, 0, "x", [part]],
    [2, 3, "x", [{ start: 8, end: 18 }]],
    [10, 0, "ab", [{ start: 12, end: 22 }]],
    [12, 2, "long", [{ start: 10, end: 22 }]],
    [5, 8, "abc", [{ start: 8, end: 15 }]],
    [15, 10, "x", [{ start: 10, end: 15 }]],
    [5, 30, "x", []],
  ])("move with a change at %i of %i characters into %j", (offset, length, text, wanted) => {
    expect(after(offset, length, text)).toEqual(wanted);
  });

  it("hold the same characters as before, without those that the change removes", () => {
    const text = "abcdefghijklmnopqrstuvwxyz";
    const place = fc
      .tuple(fc.nat(26), fc.nat(26))
      .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const);
    fc.assert(
      fc.property(
        place,
        place,
        fc.string({ unit: fc.constantFrom("X", "Y"), maxLength: 4 }),
        ([start, end], [from, to], written) => {
          fc.pre(end > start);
          const edited = text.slice(0, from) + written + text.slice(to);
          const [now] = moved([{ start, end }], { rangeOffset: from, rangeLength: to - from, text: written });
          const kept = [...text.slice(start, end)].filter((_, at) => start + at < from || start + at >= to).join("");
          expect(now === undefined ? "" : edited.slice(now.start, now.end).replaceAll(/[XY]/g, "")).toBe(kept);
        },
      ),
    );
  });
});

it("what is wanted is what of it is selected, and all without a selection", () => {
  const wanted = [
    { start: 0, end: 50 },
    { start: 100, end: 200 },
  ];
  expect(within(wanted, undefined)).toBe(wanted);
  expect(within(wanted, [{ start: 40, end: 120 }])).toEqual([
    { start: 40, end: 50 },
    { start: 100, end: 120 },
  ]);
  expect(within(wanted, [{ start: 60, end: 70 }])).toEqual([]);
});

it("a passage keeps the words that are selected whole, and which of them are unfamiliar", () => {
  const tokens = { starts: [0, 5, 11, 20], ends: [4, 10, 19, 25], values: [1, null, -2, 3], unfamiliar: [0, 2] };
  const passage = { start: 0, end: 25, tokens };
  expect(clipped(passage, undefined)).toBe(passage);
  // The token at 5 begins with the space before the selection; the last one is cut.
  expect(clipped(passage, [{ start: 6, end: 22 }]).tokens).toEqual({
    starts: [5, 11],
    ends: [10, 19],
    values: [null, -2],
    unfamiliar: [1],
  });
});
