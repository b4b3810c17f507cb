/**
 * Documents as passages that are read each by itself. A passage's text is what the model reads; its characters map back to the document,
 * where some may be written otherwise (JSON's escapes, CRLF). Nothing here takes more than linear time.
 */
import { jsonStrings } from "./json-strings.ts";

/** A piece of a document. */
export interface Passage {
  /** UTF-16 offsets in the document. */
  readonly start: number;
  readonly end: number;
  /** As the model reads it. */
  readonly text: string;
  /** Where unit i of `text` begins in the document, for i up to `text.length`; undefined: at `start + i`. */
  readonly offsets: Int32Array | undefined;
}

/** Where an offset of a passage's text stands in the document. */
export function toDocument({ start, offsets }: Passage, offset: number): number {
  return offsets === undefined ? start + offset : (offsets[offset] ?? start);
}

/** The unit of a passage's text that a document offset inside the passage belongs to. */
export function fromDocument({ start, offsets }: Passage, offset: number): number {
  if (offsets === undefined) return offset - start;
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The language ids of VS Code under which a line is a JSON record. */
const recordLanguages: ReadonlySet<string> = new Set(["jsonl", "ndjson", "jsonlines", "json-lines"]);

/**
 * The passages of a document, in order and apart: of records (JSON Lines) every string with at least two words, of any other text its
 * paragraphs, which blank lines separate, without white space around them. One longer than about 8,000 characters is cut, at the end of a
 * sentence where there is one. Lines that are no JSON have no passages.
 */
export function passagesOf(text: string, languageId: string): Passage[] {
  const whole = recordLanguages.has(languageId) ? recordPassages(text) : paragraphs(text);
  return whole.flatMap(cutToSize);
}

function* lines(text: string): Generator<{ start: number; end: number }> {
  let start = 0;
  while (start <= text.length) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    yield { start, end };
    start = end + 1;
  }
}

function paragraphs(text: string): Passage[] {
  const passages: Passage[] = [];
  let open: { start: number; end: number } | undefined;
  const close = (): void => {
    if (open !== undefined) passages.push(plainPassage(text, open.start, open.end));
    open = undefined;
  };
  for (const { start, end } of lines(text)) {
    const inside = withoutSpaceAround(text, start, end);
    if (inside.start === inside.end) close();
    else open = { start: open?.start ?? inside.start, end: inside.end };
  }
  close();
  return passages;
}

function recordPassages(text: string): Passage[] {
  return [...lines(text)].flatMap(({ start, end }) => {
    const line = text.slice(start, end);
    return jsonStrings(line).flatMap(({ value, offsets, start: from, end: to }): Passage[] => {
      const { start: first, end: last } = withoutSpaceAround(value, 0, value.length);
      if (!/\S\s+\S/u.test(value.slice(first, last))) return [];
      if (offsets === undefined)
        return [{ start: start + from + first, end: start + from + last, text: value.slice(first, last), offsets }];
      const own = offsets.slice(first, last + 1).map((offset) => start + offset);
      return [
        { start: own[0] ?? start + from, end: own.at(-1) ?? start + to, text: value.slice(first, last), offsets: own },
      ];
    });
  });
}

/** CRLF is read as a line break of one character, so that a document reads the same on every system. */
function plainPassage(document: string, start: number, end: number): Passage {
  const raw = document.slice(start, end);
  if (!raw.includes("\r\n")) return { start, end, text: raw, offsets: undefined };
  const text = raw.replaceAll("\r\n", "\n");
  const offsets = new Int32Array(text.length + 1);
  for (let [unit, at] = [0, start]; unit < text.length; unit++) {
    offsets[unit] = at;
    at += document.charCodeAt(at) === CARRIAGE_RETURN && document.charCodeAt(at + 1) === LINE_FEED ? 2 : 1;
  }
  offsets[text.length] = end;
  return { start, end, text, offsets };
}

const softLimit = 8192;
const wordLimit = softLimit + 1024;
const hardLimit = wordLimit + 1024;
const sentenceEnd = /[.!?…。！？]["'”’)\]]*\s|\n/gu;

/** Where a long passage is cut depends on what stands near the cut, so an edit moves few of the cuts behind it. */
function cutToSize(passage: Passage): Passage[] {
  if (passage.text.length <= hardLimit) return [passage];
  const parts: Passage[] = [];
  let start = 0;
  while (start < passage.text.length) {
    const end = cutAfter(passage.text, start);
    const inside = withoutSpaceAround(passage.text, start, end);
    if (inside.start < inside.end) parts.push(partOf(passage, inside.start, inside.end));
    start = end;
  }
  return parts;
}

function cutAfter(text: string, start: number): number {
  if (text.length - start <= hardLimit) return text.length;
  const from = start + softLimit;
  const found = text
    .slice(from, start + wordLimit)
    .matchAll(sentenceEnd)
    .next().value;
  if (found !== undefined) return from + found.index + found[0].length;
  const space = text.slice(start + wordLimit, start + hardLimit).search(/\s/u);
  if (space >= 0) return start + wordLimit + space;
  return characterEnd(text, start + hardLimit);
}

/** Not between the halves of a surrogate pair, nor before what changes the character that it follows. */
function characterEnd(text: string, at: number): number {
  let end = at;
  const latest = Math.min(text.length, at + 1024);
  while (end < latest && (isLowSurrogate(text.charCodeAt(end)) || /^[\p{M}\u200d]/u.test(text.slice(end, end + 2))))
    end += 1;
  return isLowSurrogate(text.charCodeAt(end)) ? end + 1 : end;
}

function partOf(passage: Passage, start: number, end: number): Passage {
  const { text, offsets } = passage;
  return {
    start: toDocument(passage, start),
    end: toDocument(passage, end),
    text: text.slice(start, end),
    offsets: offsets?.slice(start, end + 1),
  };
}

function withoutSpaceAround(text: string, start: number, end: number): { start: number; end: number } {
  let [from, to] = [start, end];
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return { start: from, end: to };
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0 || code === 0xfeff || code === 0x3000;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;
