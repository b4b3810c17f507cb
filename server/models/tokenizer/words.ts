/**
 * Splits a text into words as GPT-2 does, calling `visit` with each word's range; the words partition the text. The rule
 * is the pattern of OpenAI's GPT-2 encoder (https://github.com/openai/gpt-2/blob/master/src/encoder.py):
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * with \s as Unicode's White_Space, as in Hugging Face's Rust tokenizers. JavaScript's own \s differs (it takes U+FEFF and
 * leaves out U+0085), and its regular expressions overflow the stack on words of millions of characters: hence a scan.
 */
export function splitWords(text: string, visit: (start: number, end: number) => void): void {
  let at = 0;
  while (at < text.length) {
    const end = wordEnd(text, at);
    visit(at, end);
    at = end;
  }
}

function wordEnd(text: string, at: number): number {
  if (text.charCodeAt(at) === APOSTROPHE) {
    const contraction = CONTRACTIONS.find((ending) => text.startsWith(ending, at + 1));
    if (contraction) return at + 1 + contraction.length;
  }
  const from = text.charCodeAt(at) === SPACE ? at + 1 : at;
  const kind = kindAt(text, from);
  if (kind !== END && kind !== WHITESPACE) return runEnd(text, from, kind);
  const end = runEnd(text, at, WHITESPACE);
  // The last of several white-space characters is left for the word after it. White space has no surrogates.
  return end === text.length || end === at + 1 ? end : end - 1;
}

function runEnd(text: string, at: number, kind: number): number {
  let end = at;
  while (kindAt(text, end) === kind) end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  return end;
}

const APOSTROPHE = 0x27;
const SPACE = 0x20;
const CONTRACTIONS = ["s", "t", "re", "ve", "m", "ll", "d"];

/** Kinds of characters; END is the end of the text. */
const END = 0;
const LETTER = 1;
const NUMBER = 2;
const WHITESPACE = 3;
const OTHER = 4;

function kindAt(text: string, at: number): number {
  const codePoint = text.codePointAt(at);
  if (codePoint === undefined) return END;
  const known = KINDS[codePoint];
  if (known) return known;
  const kind = kindOf(String.fromCodePoint(codePoint));
  KINDS[codePoint] = kind;
  return kind;
}

function kindOf(character: string): number {
  if (/\p{L}/u.test(character)) return LETTER;
  if (/\p{N}/u.test(character)) return NUMBER;
  return /\p{White_Space}/u.test(character) ? WHITESPACE : OTHER;
}

/** The kind of every code point seen so far, 0 where not seen. */
const KINDS = new Uint8Array(0x110000);
