import { describe, expect, it } from "vitest";
import { byteLevelSpelling, visibleText, vocabularyBytes } from "./bytes.ts";

describe("GPT-2's byte alphabet", () => {
  it("spells every byte with a character of its own that is read back", () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const spelling = byteLevelSpelling(all);
    expect(new Set(spelling).size).toBe(256);
    expect(vocabularyBytes("byte-level", spelling)).toEqual(all);
    // From the alphabet's definition: space, newline, NUL, DEL, no-break space, soft hyphen.
    expect(byteLevelSpelling(Uint8Array.of(0x20, 0x0a, 0x00, 0x7f, 0xa0, 0xad, 0x41, 0xe9))).toBe("ĠĊĀġłŃAé");
  });

  it("reads an entry outside the alphabet as text", () => {
    expect(vocabularyBytes("byte-level", "[END OF TEXT]")).toEqual(new TextEncoder().encode("[END OF TEXT]"));
  });
});

it("byte-fallback entries are single bytes in one spelling only", () => {
  expect(vocabularyBytes("byte-fallback", "<0x0A>")).toEqual(Uint8Array.of(10));
  expect(vocabularyBytes("byte-fallback", "<0x0a>")).toHaveLength(6);
  expect(vocabularyBytes("byte-fallback", "\u2581a")).toEqual(Uint8Array.of(0xe2, 0x96, 0x81, 0x61));
});

it.each([
  ["·film", [0x20, 0x66, 0x69, 0x6c, 0x6d]],
  ["a↵␍⇥", [0x61, 0x0a, 0x0d, 0x09]],
  ["\\u{0}\\u{1b}", [0x00, 0x1b]],
  ["\\u{feff}", [0xef, 0xbb, 0xbf]],
  ["\\u{200d}", [0xe2, 0x80, 0x8d]],
  ["é", [0xc3, 0xa9]],
  ["\ufffd", [0xef, 0xbf, 0xbd]],
  ["·\\xF0\\x9F", [0x20, 0xf0, 0x9f]],
])("shows %s", (expected, bytes) => {
  expect(visibleText(Uint8Array.from(bytes))).toBe(expected);
});
