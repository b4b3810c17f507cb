/** Finds the cells of a CSV text with their places in it (RFC 4180), also while a person edits it. */

/** A cell: the range of its content in UTF-16 units, without the quotes around it. */
export interface CsvCell {
  readonly start: number;
  readonly end: number;
  /** Whether quotes stand around it, so that a quote within it is written twice. */
  readonly isQuoted: boolean;
}

/** A record: its cells, and its range without the line break after it. */
export interface CsvRecord {
  readonly start: number;
  readonly end: number;
  readonly cells: readonly CsvCell[];
}

export type CsvDelimiter = "," | ";" | "\t" | "|";

/**
 * The records of a text, in order, without empty lines. A quote in a cell that none begins is a character like any
 * other, and so is text after a closing quote; a quote that is never closed reaches to the end. Takes linear time.
 */
export function* csvRecords(text: string, delimiter: CsvDelimiter): Generator<CsvRecord> {
  let at = text.startsWith("\uFEFF") ? 1 : 0;
  while (at < text.length) {
    const record = recordFrom(text, at, delimiter);
    const [first] = record.cells;
    const isEmpty = record.cells.length === 1 && first?.isQuoted === false && first.start === first.end;
    if (!isEmpty) yield record;
    at = afterBreak(text, record.end);
  }
}

/** The content of a cell, with doubled quotes as one. */
export function csvValue(text: string, { start, end, isQuoted }: CsvCell): string {
  const raw = text.slice(start, end);
  return isQuoted ? raw.replaceAll('""', '"') : raw;
}

/** The delimiter of a text: the one that its first line has most of outside of quotes; a comma if it has none. */
export function csvDelimiterOf(text: string): CsvDelimiter {
  const counts = new Map<CsvDelimiter, number>([",", ";", "\t", "|"].map((one) => [one as CsvDelimiter, 0]));
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (character === "\n" || character === "\r")) break;
    else if (!isQuoted && isDelimiter(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  const [[most] = [","] as const] = [...counts].sort(([, one], [, other]) => other - one);
  return most;
}

const delimiters: readonly string[] = [",", ";", "\t", "|"];

function isDelimiter(character: string): character is CsvDelimiter {
  return delimiters.includes(character);
}

function recordFrom(text: string, start: number, delimiter: CsvDelimiter): CsvRecord {
  const cells: CsvCell[] = [];
  let at = start;
  for (;;) {
    const { cell, next } = cellFrom(text, at, delimiter);
    cells.push(cell);
    if (text.charAt(next) !== delimiter) return { start, end: next, cells };
    at = next + 1;
  }
}

/** The cell that begins at `start`, and where its delimiter, its line break or the text's end is. */
function cellFrom(text: string, start: number, delimiter: CsvDelimiter): { cell: CsvCell; next: number } {
  if (text.charAt(start) !== '"') {
    const next = unquotedEnd(text, start, delimiter);
    return { cell: { start, end: next, isQuoted: false }, next };
  }
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && text.charAt(end + 1) === '"') end = text.indexOf('"', end + 2);
  if (end < 0) return { cell: { start: start + 1, end: text.length, isQuoted: true }, next: text.length };
  return { cell: { start: start + 1, end, isQuoted: true }, next: unquotedEnd(text, end + 1, delimiter) };
}

function unquotedEnd(text: string, from: number, delimiter: CsvDelimiter): number {
  let at = from;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === delimiter || character === "\n" || character === "\r") break;
  }
  return at;
}

/** Where the next record begins, after a line break at `at`. */
function afterBreak(text: string, at: number): number {
  return text.startsWith("\r\n", at) ? at + 2 : at + 1;
}
