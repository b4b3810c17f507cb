/**
 * Splits texts into the words that byte-level BPE merges within; the words partition the text.
 *
 * JavaScript's \s differs from Rust's (it takes U+FEFF and leaves out U+0085), and its regular expressions overflow the
 * stack on words of millions of characters: hence scans. \s is Unicode's White_Space here.
 */

/**
 * Rules of splitting. `gpt2` is the pattern of OpenAI's GPT-2 encoder
 * (https://github.com/openai/gpt-2/blob/master/src/encoder.py):
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * `digits` is the same after every number character was split off (SmolLM2). `gpt4` is the pattern of Llama 3 and OLMo 2,
 * of which `gpt4OneDigit` (Qwen 2 and 3) takes numbers one by one, \p{N} in place of \p{N}{1,3}:
 *
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
export type WordRule = "gpt2" | "digits" | "gpt4" | "gpt4OneDigit";

/** Takes the range of a word. */
export type VisitWord = (start: number, end: number) => void;

/** Calls `visit` with each word's range. */
export function splitWords(text: string, visit: VisitWord, rule: WordRule = "gpt2"): void {
  splitters[rule](text, visit);
}

const splitters: Readonly<Record<WordRule, (text: string, visit: VisitWord) => void>> = {
  gpt2: (text, visit) => scan(text, visit, gpt2End),
  digits: splitAtDigits,
  gpt4: (text, visit) => scan(text, visit, (within, at) => gpt4End(within, at, 3)),
  gpt4OneDigit: (text, visit) => scan(text, visit, (within, at) => gpt4End(within, at, 1)),
};

type WordEnd = (text: string, at: number) => number;

function scan(text: string, visit: VisitWord, endOf: WordEnd): void {
  let at = 0;
  while (at < text.length) {
    const end = endOf(text, at);
    visit(at, end);
    at = end;
  }
}

/** Each number character is a word; what stands between two is split on its own. */
function splitAtDigits(text: string, visit: VisitWord): void {
  let start = 0;
  const between = (end: number): void => {
    const base = start;
    scan(text.slice(base, end), (from, to) => visit(base + from, base + to), gpt2End);
  };
  for (let at = 0; at < text.length; ) {
    const next = after(text, at);
    if (kindAt(text, at) === NUMBER) {
      if (start < at) between(at);
      visit(at, next);
      start = next;
    }
    at = next;
  }
  if (start < text.length) between(text.length);
}

function gpt2End(text: string, at: number): number {
  if (text.charCodeAt(at) === APOSTROPHE) {
    const contraction = CONTRACTIONS.find((ending) => text.startsWith(ending, at + 1));
    if (contraction) return at + 1 + contraction.length;
  }
  const from = text.charCodeAt(at) === SPACE ? at + 1 : at;
  const kind = kindAt(text, from);
  if (kind !== END && kind !== WHITESPACE) return runEnd(text, from, kind);
  return whitespaceEnd(text, at);
}

function gpt4End(text: string, at: number, numbers: number): number {
  if (text.charCodeAt(at) === APOSTROPHE) {
    const contraction = CONTRACTIONS.find((ending) => folded(text.slice(at + 1, at + 1 + ending.length)) === ending);
    if (contraction) return at + 1 + contraction.length;
  }
  const kind = kindAt(text, at);
  if (kind === LETTER) return runEnd(text, at, LETTER);
  const next = after(text, at);
  if (kind !== NUMBER && !isLineEnd(text, at) && kindAt(text, next) === LETTER) return runEnd(text, next, LETTER);
  if (kind === NUMBER) return numbersEnd(text, at, numbers);
  const from = text.charCodeAt(at) === SPACE ? at + 1 : at;
  if (kindAt(text, from) === OTHER) return lineEndsEnd(text, runEnd(text, from, OTHER));
  return linesEnd(text, at) ?? whitespaceEnd(text, at);
}

/** The end of white space through its last line end; undefined where it has none. */
function linesEnd(text: string, at: number): number | undefined {
  for (let end = runEnd(text, at, WHITESPACE); end > at; end -= 1) if (isLineEnd(text, end - 1)) return end;
  return undefined;
}

/** The end of white space, whose last character is left for the word after it. White space has no surrogates. */
function whitespaceEnd(text: string, at: number): number {
  const end = runEnd(text, at, WHITESPACE);
  return end === text.length || end === at + 1 ? end : end - 1;
}

function numbersEnd(text: string, at: number, most: number): number {
  let end = at;
  for (let count = 0; count < most && kindAt(text, end) === NUMBER; count += 1) end = after(text, end);
  return end;
}

function lineEndsEnd(text: string, at: number): number {
  let end = at;
  while (isLineEnd(text, end)) end += 1;
  return end;
}

function isLineEnd(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x0a || code === 0x0d;
}

function runEnd(text: string, at: number, kind: number): number {
  let end = at;
  while (kindAt(text, end) === kind) end = after(text, end);
  return end;
}

/** The place after the character at a place. */
function after(text: string, at: number): number {
  return at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
}

/** Lower case as the pattern's (?i:) folds it: with the long s. */
function folded(text: string): string {
  return text.toLowerCase().replaceAll("\u017f", "s");
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
