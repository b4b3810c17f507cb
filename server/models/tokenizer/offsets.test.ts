import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { TokenizerDriftError } from "./errors.ts";
import { characterGroups, normaliseNfc, trimmedRange } from "./offsets.ts";

/** [normalised, original] of each independent stretch. */
function stretches(text: string): string[][] {
  const { text: normal, starts, ends } = normaliseNfc(text);
  const units = Array.from({ length: normal.length }, (_, i) => ({ start: starts?.[i] ?? i, end: ends?.[i] ?? i + 1 }));
  return characterGroups(units).map(({ start, end, firstToken, endToken }) => [
    normal.slice(firstToken, endToken),
    text.slice(start, end),
  ]);
}

describe("normaliseNfc", () => {
  it("maps nothing where nothing changes", () => {
    expect(normaliseNfc("plain café 😀")).toEqual({ text: "plain café 😀" });
    expect(normaliseNfc("")).toEqual({ text: "" });
  });

  it.each([
    [
      "a composed mark",
      "xe\u0301y",
      [
        ["x", "x"],
        ["\u00e9", "e\u0301"],
        ["y", "y"],
      ],
    ],
    [
      "a second mark that stays",
      "e\u0301\u0302",
      [
        ["\u00e9", "e\u0301"],
        ["\u0302", "\u0302"],
      ],
    ],
    [
      "marks that change places",
      "q\u0307\u0323",
      [
        ["q", "q"],
        ["\u0323\u0307", "\u0307\u0323"],
      ],
    ],
    [
      "a mark that composes across another",
      "a\u0323\u0301",
      [
        ["\u1ea1", "a\u0323"],
        ["\u0301", "\u0301"],
      ],
    ],
    [
      "Hangul letters",
      "\u1112\u1161\u11ab\u1100\u1173",
      [
        ["\ud55c", "\u1112\u1161\u11ab"],
        ["\uadf8", "\u1100\u1173"],
      ],
    ],
    ["a syllable and a final consonant", "\uac00\u11a8", [["\uac01", "\uac00\u11a8"]]],
    [
      "a singleton",
      "\u212b!",
      [
        ["\u00c5", "\u212b"],
        ["!", "!"],
      ],
    ],
    ["one that becomes two", "\u0958", [["\u0915\u093c", "\u0958"]]],
    [
      "beyond 16 bits",
      "\u{1d15e}\u{1f600}",
      [
        ["\u{1d157}\u{1d165}", "\u{1d15e}"],
        ["\u{1f600}", "\u{1f600}"],
      ],
    ],
    [
      "letters that compose (Kirat Rai)",
      "\u{16d67}\u{16d67}a",
      [
        ["\u{16d68}", "\u{16d67}\u{16d67}"],
        ["a", "a"],
      ],
    ],
  ])("maps back %s", (_, text, expected) => {
    expect(stretches(text)).toEqual(expected);
  });

  it("maps a long sequence of marks as a whole", () => {
    const zalgo = `q${"\u0307\u0323".repeat(40)}`;
    expect(stretches(`a${zalgo}b`)).toEqual([
      ["a", "a"],
      [zalgo.normalize("NFC"), zalgo],
      ["b", "b"],
    ]);
  });

  it("maps every text to stretches that normalise by themselves", () => {
    const unit = fc.constantFrom(
      ..."ae q>\u0301\u0302\u0323\u0307\u0315\u0338\u0345\u1100\u1112\u1161\u1173\u11a8\u11ab\uac00\uac01\u212b\u0958\u093c\u3099\u304b\u{1d15e}\u{16d63}\u{16d67}\u{16d69}\ufffd",
    );
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit, maxLength: 24 }), fc.string({ unit: "binary" })), (text) => {
        const parts = stretches(text);
        expect(parts.map(([normal]) => normal).join("")).toBe(text.normalize("NFC"));
        expect(parts.map(([, original]) => original).join("")).toBe(text);
        for (const [normal, original] of parts) expect(original?.normalize("NFC")).toBe(normal);
      }),
      { numRuns: 1000, seed: 3 },
    );
  });

  it("is a drift where the engine's NFC is not that of its parts", () => {
    const text = "abc\u00e9 d";
    const real = String.prototype.normalize;
    const spy = vi.spyOn(String.prototype, "normalize").mockImplementation(function (this: string, form) {
      return `${real.call(this, form)}${String(this) === text ? "!" : ""}`;
    });
    expect(() => normaliseNfc(text)).toThrow(TokenizerDriftError);
    spy.mockRestore();
    expect(normaliseNfc(text)).toEqual({ text });
  });
});

describe("characterGroups", () => {
  it("joins tokens that overlap and leaves out empty ranges", () => {
    const ranges = [
      [0, 0],
      [0, 2],
      [0, 2],
      [2, 3],
      [3, 5],
      [4, 6],
      [6, 6],
    ].map(([start = 0, end = 0]) => ({ start, end }));
    expect(characterGroups(ranges)).toEqual([
      { start: 0, end: 2, firstToken: 1, endToken: 3 },
      { start: 2, end: 3, firstToken: 3, endToken: 4 },
      { start: 3, end: 6, firstToken: 4, endToken: 6 },
    ]);
    expect(characterGroups([])).toEqual([]);
  });
});

describe("trimmedRange", () => {
  it.each([
    [" world", "world"],
    ["  a b  ", "a b"],
    ["\n x", "\n x"],
    ["\u00a0", "\u00a0"],
    ["   ", ""],
    ["", ""],
  ])("takes the spaces off %j", (token, expected) => {
    const text = `<${token}>`;
    const { start, end } = trimmedRange(text, { start: 1, end: 1 + token.length });
    expect(text.slice(start, end)).toBe(expected);
    if (expected === "") expect(start).toBe(1 + token.length);
  });
});
