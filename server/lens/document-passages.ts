/**
 * The passages of a document, cut where they are asked for: a file of many records is not parsed whole before its
 * visible part is read.
 */
import { textFormatOf } from "../protocol/text-format.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";
import { conversationPassages } from "./conversation-record.ts";
import { csvPassages } from "./csv-passages.ts";
import { type Passage, passagesOf, recordPassages } from "./passages.ts";
import { type PreferenceLine, preferenceLine } from "./preference-record.ts";

/** A range of a document, in UTF-16 units. */
export interface DocumentRange {
  readonly start: number;
  readonly end: number;
}

/** A line of a document of records. */
export interface RecordLine extends DocumentRange {
  /** From 0. */
  readonly line: number;
  readonly passages: readonly Passage[];
  /** The line as a preference; undefined if it is another record. */
  readonly preference: PreferenceLine | undefined;
}

/** The passages of a document in order, disjoint. */
export interface DocumentPassages extends Iterable<Passage> {
  /** The passage that contains an offset of the document. */
  at(offset: number): Passage | undefined;
  /** The passages that touch one of the ranges, in order. */
  touching(ranges: readonly DocumentRange[]): Iterable<Passage>;
  /** The document's records; undefined if its lines are none. */
  readonly records: DocumentRecords | undefined;
}

/** What a document's passages depend on besides its text. */
export interface CutOptions {
  /** VS Code's. */
  readonly languageId: string;
  /** Path of the document, whose ending tells a table; empty if it has none. */
  readonly path?: string;
  /** Names of a table's columns to read; by default those that hold texts. */
  readonly csvColumns?: readonly string[];
  /** Writes messages as the model reads them; undefined where the model has no template. */
  readonly template?: MessageWriter | undefined;
}

/** Cuts a document into passages. */
export function documentPassages(
  text: string,
  { languageId, path, csvColumns: columns = [], template }: CutOptions,
): DocumentPassages {
  const format = textFormatOf(languageId, path);
  if (format === "records") return new DocumentRecords(text, template);
  if (format === "text") return new WholePassages(passagesOf(text, languageId));
  return new WholePassages(csvPassages(text, { isTsv: format === "tsv", columns }));
}

class WholePassages implements DocumentPassages {
  readonly records = undefined;
  readonly #passages: readonly Passage[];

  constructor(passages: readonly Passage[]) {
    this.#passages = passages;
  }

  at(offset: number): Passage | undefined {
    return passageAt(this.#passages, offset);
  }

  touching(ranges: readonly DocumentRange[]): Passage[] {
    return this.#passages.filter((passage) => touches(passage, ranges));
  }

  [Symbol.iterator](): Iterator<Passage> {
    return this.#passages[Symbol.iterator]();
  }
}

/** A document whose lines are records. */
export class DocumentRecords implements DocumentPassages {
  readonly #text: string;
  readonly #template: MessageWriter | undefined;
  /** Where each line begins: numbers alone, since a document may be all line breaks. */
  readonly #starts: Int32Array;
  /** The lines that were asked for last. */
  readonly #known = new Map<number, RecordLine>();

  constructor(text: string, template: MessageWriter | undefined) {
    this.#text = text;
    this.#template = template;
    this.#starts = lineStarts(text);
  }

  get records(): this {
    return this;
  }

  /** Number of lines, empty ones too. */
  get count(): number {
    return this.#starts.length;
  }

  /** A line; undefined beyond the document. */
  line(index: number): RecordLine | undefined {
    const known = this.#known.get(index);
    const start = this.#starts[index];
    if (known !== undefined || start === undefined) return known;
    const read = this.#read(index, { start, end: (this.#starts[index + 1] ?? this.#text.length + 1) - 1 });
    this.#known.set(index, read);
    if (this.#known.size > MOST_LINES_KEPT) {
      const [oldest = index] = this.#known.keys();
      this.#known.delete(oldest);
    }
    return read;
  }

  /** Index of the line that contains an offset of the document. */
  lineAt(offset: number): number {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  at(offset: number): Passage | undefined {
    return passageAt(this.line(this.lineAt(offset))?.passages ?? [], offset);
  }

  *touching(ranges: readonly DocumentRange[]): Iterable<Passage> {
    for (const { passages } of this.linesTouching(ranges)) yield* passages.filter((one) => touches(one, ranges));
  }

  /** The lines that touch one of the ranges, in order. */
  *linesTouching(ranges: readonly DocumentRange[]): Iterable<RecordLine> {
    let next = 0;
    for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
      if (end <= start) continue;
      const last = this.lineAt(end - 1);
      for (next = Math.max(next, this.lineAt(start)); next <= last; next++) {
        const line = this.#isShort(next) ? undefined : this.line(next);
        if (line !== undefined) yield line;
      }
    }
  }

  *[Symbol.iterator](): Iterator<Passage> {
    for (let at = 0; at < this.count; at++) if (!this.#isShort(at)) yield* this.line(at)?.passages ?? [];
  }

  /** Whether a line is too short to hold two words in quotes. */
  #isShort(index: number): boolean {
    return (this.#starts[index + 1] ?? this.#text.length + 1) - (this.#starts[index] ?? 0) < 5;
  }

  #read(line: number, { start, end }: DocumentRange): RecordLine {
    const text = this.#text.slice(start, end);
    const preference = preferenceLine(text, start, this.#template);
    const place = { line, start, end: end - Number(text.endsWith("\r")) };
    if (preference === undefined) {
      const passages = conversationPassages(text, start, this.#template) ?? recordPassages(text, start);
      return { ...place, preference, passages };
    }
    return { ...place, preference, passages: preference.kind === "pair" ? preference.passages : [] };
  }
}

function lineStarts(text: string): Int32Array {
  let count = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  const starts = new Int32Array(count);
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts[line++] = at + 1;
  return starts;
}

/** More than an editor shows at once. */
const MOST_LINES_KEPT = 1000;

function touches({ start, end }: DocumentRange, ranges: readonly DocumentRange[]): boolean {
  return ranges.some((range) => start < range.end && end > range.start);
}

function passageAt(passages: readonly Passage[], offset: number): Passage | undefined {
  let [low, high] = [0, passages.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const passage = passages[middle];
    if (passage === undefined) return undefined;
    if (offset < passage.start) high = middle - 1;
    else if (offset >= passage.end) low = middle + 1;
    else return passage;
  }
  return undefined;
}
