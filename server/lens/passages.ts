/**
 * Cuts documents into passages, each of which is read by itself. A passage's text is the model's input; its
 * characters map back to the document, which may write some of them differently (JSON's escapes, CRLF). All
 * functions take linear time.
 */

import { textFormatOf } from "../protocol/text-format.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import { type JsonString, jsonStrings } from "./json-strings.ts";
import { type OffsetMap, OffsetMapBuilder } from "./offset-map.ts";
import type { Side } from "./sides.ts";
import { type Gap, gapsOf } from "./syntax.ts";

/** A piece of a document. */
export interface Passage {
  /** UTF-16 offsets in the document. */
  readonly start: number;
  readonly end: number;
  /** The model's input. */
  readonly text: string;
  /** Undefined if the document contains `text` unchanged. */
  readonly written: WrittenText | undefined;
  /** The answer that the passage is a part of, which is read given its prompt; undefined for a text by itself. */
  readonly answer?: AnswerPlace;
  /** The conversation that the passage is a part of, which is read whole; undefined for a text by itself. */
  readonly conversation?: ConversationPlace;
  /** Why the passage cannot be read, if that is known before a model reads it. */
  readonly unread?: string;
}

/** A place in a conversation as the model's chat template writes it. */
export interface ConversationPlace {
  /** The whole conversation, with the template's own text. */
  readonly text: string;
  /** Offset of the passage in it. */
  readonly at: number;
}

/** A place in an answer of a preference pair. */
export interface AnswerPlace {
  readonly texts: PairTexts;
  readonly side: Side;
  /** Offset of the passage in the answer's text. */
  readonly at: number;
}

/** Maps the text to a document that writes it differently, and locates the passage in it. */
interface WrittenText {
  readonly map: OffsetMap;
  /** Document offset of the beginning of the map's text. */
  readonly origin: number;
  /** The unit of the map's text at which the passage begins. */
  readonly from: number;
}

/** Document offset of an offset of a passage's text. */
export function toDocument({ start, written }: Passage, offset: number): number {
  return written === undefined ? start + offset : written.origin + written.map.written(written.from + offset);
}

/** Document offset of an end in a passage's text: what is left out after the text before it does not count. */
export function endInDocument({ start, written }: Passage, offset: number): number {
  return written === undefined ? start + offset : written.origin + written.map.writtenEnd(written.from + offset);
}

/** The unit of a passage's text for a document offset inside the passage. */
export function fromDocument({ start, written }: Passage, offset: number): number {
  return written === undefined ? offset - start : written.map.unitAt(offset - written.origin) - written.from;
}

/**
 * The passages of a document that is no table, in order and disjoint: of records (JSON Lines) every string with at least two words,
 * of any other text its paragraphs, which blank lines separate, without surrounding white space and without what is no
 * running text in the language (see syntax.ts). A passage longer
 * than about 8,000 characters is cut, at the end of a sentence where possible. Lines that are not JSON have no
 * passages.
 */
export function passagesOf(text: string, languageId: string): Passage[] {
  if (textFormatOf(languageId) !== "records") return paragraphs(text, gapsOf(text, languageId)).flatMap(cutToSize);
  return [...lines(text)].flatMap(({ start, end }) => recordPassages(text.slice(start, end), start));
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

function paragraphs(text: string, gaps: readonly Gap[]): Passage[] {
  const passages: Passage[] = [];
  let open: { start: number; end: number } | undefined;
  let [next, ofOpen] = [0, 0];
  const close = (): void => {
    if (open !== undefined) passages.push(plainPassage(text, open.start, open.end, gaps, ofOpen));
    open = undefined;
  };
  for (const { start, end } of lines(text)) {
    while ((gaps[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
    if (open === undefined) ofOpen = next;
    const inside = readIn(text, { start, end }, gaps, next);
    if (inside.start === inside.end) close();
    else open = { start: open?.start ?? inside.start, end: inside.end };
  }
  close();
  return passages;
}

/** The passages of one JSON record that begins at `origin` in its document. */
export function recordPassages(line: string, origin: number): Passage[] {
  return jsonStrings(line).flatMap(({ value, written, ...place }) =>
    /\s/u.test(value.trim())
      ? stretchPassages(value, { start: origin + place.start, end: origin + place.end }, written)
      : [],
  );
}

/** The passages of a stretch of a document, which writes it as `map` says, without white space around it. */
export function stretchPassages(
  text: string,
  place: { readonly start: number; readonly end: number },
  map: OffsetMap | undefined,
): Passage[] {
  const { start, end } = withoutSpaceAround(text, 0, text.length);
  return start === end ? [] : cutToSize(partOf(passageOf(text, place, map), start, end));
}

/** A whole string of a record that begins at `origin`. */
export function stringPassage({ value, written, ...place }: JsonString, origin: number): Passage {
  return passageOf(value, { start: origin + place.start, end: origin + place.end }, written);
}

/** The read part of a line, without white space and gaps around it; empty if there is none. `first`: its first gap. */
function readIn(text: string, line: Gap, gaps: readonly Gap[], first: number): Gap {
  let { start, end } = withoutSpaceAround(text, line.start, line.end);
  let at = first;
  for (let gap = gaps[at]; gap !== undefined && gap.start <= start && start < end; gap = gaps[++at])
    if (gap.end > start) ({ start } = withoutSpaceAround(text, Math.min(gap.end, end), end));
  let last = at;
  while ((gaps[last]?.start ?? Number.POSITIVE_INFINITY) < end) last += 1;
  for (let gap = gaps[--last]; last >= first && gap !== undefined && gap.end >= end && start < end; gap = gaps[--last])
    ({ end } = withoutSpaceAround(text, start, Math.max(start, gap.start)));
  return { start, end: Math.max(start, end) };
}

/**
 * A paragraph without its gaps, of which `first` is the first that may be in it. Reads CRLF as a line break of one
 * character, so that readings do not depend on the system.
 */
function plainPassage(document: string, start: number, end: number, gaps: readonly Gap[], first: number): Passage {
  const map = new OffsetMapBuilder();
  const parts: string[] = [];
  let from = start;
  const take = (to: number): void => {
    const raw = document.slice(from, to);
    for (let at = raw.indexOf("\r\n"); at >= 0; at = raw.indexOf("\r\n", at + 2)) map.add(from - start + at, 2);
    parts.push(raw.replaceAll("\r\n", "\n"));
  };
  for (let at = first; (gaps[at]?.start ?? end) < end; at++) {
    const gap = gaps[at];
    if (gap === undefined || gap.end <= from) continue;
    take(gap.start);
    map.skip(gap.start - start, gap.end - gap.start);
    from = gap.end;
  }
  take(end);
  return passageOf(parts.join(""), { start, end }, map.finish());
}

function passageOf(text: string, { start, end }: { start: number; end: number }, map: OffsetMap | undefined): Passage {
  return { start, end, text, written: map === undefined ? undefined : { map, origin: start, from: 0 } };
}

const softLimit = 8192;
const wordLimit = softLimit + 1024;
const hardLimit = wordLimit + 1024;
const sentenceEnd = /[.!?…。！？]["'”’)\]]*\s|\n/gu;

/** The cuts of a long passage depend only on the text near them, so an edit moves few of the cuts after it. */
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

/** Never between the halves of a surrogate pair, nor before a character that modifies the previous one. */
function characterEnd(text: string, at: number): number {
  let end = at;
  const latest = Math.min(text.length, at + 1024);
  while (end < latest && (isLowSurrogate(text.charCodeAt(end)) || /^[\p{M}\u200d]/u.test(text.slice(end, end + 2))))
    end += 1;
  return isLowSurrogate(text.charCodeAt(end)) ? end + 1 : end;
}

/** From `start` to `end` of a passage's text. */
export function partOf(passage: Passage, start: number, end: number): Passage {
  const { text, written } = passage;
  if (start === 0 && end === text.length) return passage;
  return {
    start: toDocument(passage, start),
    end: endInDocument(passage, end),
    text: text.slice(start, end),
    written: written === undefined ? undefined : { ...written, from: written.from + start },
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
