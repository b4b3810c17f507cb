/**
 * How a vocabulary spells text: "byte-level" as one character of GPT-2's alphabet per byte (GPT-2, GPT-Neo,
 * GPT-NeoX); "byte-fallback" as characters, with U+2581 for a space and `<0xNN>` for each byte of a character that it
 * lacks (Gemma).
 */
export type TokenizerFamily = "byte-level" | "byte-fallback";

/** Replaces a space in the vocabulary of the byte-fallback family (sentencepiece's U+2581). */
export const SPACE_MARK = "\u2581";

/**
 * The UTF-8 bytes that a vocabulary entry stands for within normalised text. Byte-level entries spell one byte a character
 * in GPT-2's alphabet; byte-fallback entries are text, but for `<0xNN>`, which is one byte.
 */
export function vocabularyBytes(family: TokenizerFamily, entry: string): Uint8Array {
  if (family === "byte-fallback") {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(entry)?.[1];
    return byte === undefined ? utf8.encode(entry) : Uint8Array.of(Number.parseInt(byte, 16));
  }
  const bytes = new Uint8Array(entry.length);
  for (let i = 0; i < entry.length; i++) {
    const byte = BYTE_OF.get(entry.charCodeAt(i));
    if (byte === undefined) return utf8.encode(entry);
    bytes[i] = byte;
  }
  return bytes;
}

/** Bytes spelled in GPT-2's alphabet, one character each. */
export function byteLevelSpelling(bytes: Uint8Array): string {
  let spelling = "";
  for (const byte of bytes) spelling += CHARACTER_OF[byte];
  return spelling;
}

/**
 * A one-line form for tables and hovers: a space as "·", line and tab characters as arrows, other control and invisible
 * characters as \u{..}, and bytes of incomplete characters as \xNN.
 */
export function visibleText(bytes: Uint8Array): string {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (text.includes("\ufffd") && !utf8Equal(text, bytes)) {
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? visible(String.fromCharCode(byte)) : `\\x${byte.toString(16).toUpperCase()}`,
    ).join("");
  }
  return visible(text);
}

function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp} ]/gu,
    (character) => MARKS.get(character) ?? `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

function utf8Equal(text: string, bytes: Uint8Array): boolean {
  const encoded = utf8.encode(text);
  return encoded.length === bytes.length && encoded.every((byte, i) => byte === bytes[i]);
}

const utf8 = new TextEncoder();
const MARKS = new Map([
  [" ", "·"],
  ["\n", "↵"],
  ["\r", "␍"],
  ["\t", "⇥"],
]);

/** GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the other 68 take U+0100 and up in order. */
const CHARACTER_OF: readonly string[] = alphabet();
const BYTE_OF: ReadonlyMap<number, number> = new Map(CHARACTER_OF.map((char, byte) => [char.charCodeAt(0), byte]));

function alphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}
