/** The cells of a table that are texts, as passages: of the columns that a person named, or that hold texts. */
import { type CsvCell, type CsvRecord, csvDelimiterOf, csvRecords, csvValue } from "../protocol/csv-places.ts";
import { OffsetMapBuilder } from "./offset-map.ts";
import { type Passage, stretchPassages } from "./passages.ts";

/** Names of columns that hold texts in data sets that people publish. */
const usualNames: ReadonlySet<string> = new Set(
  (
    "text texts prompt prompts chosen rejected completion response responses answer question instruction input output " +
    "content body message review comment sentence title summary description document article tweet post abstract"
  ).split(" "),
);
/** Records that are looked at to find out which columns hold texts, where no name says it. */
const MOST_LOOKED_AT = 50;
/** A cell with this many words is a text; a header has fewer. */
const FEWEST_WORDS = 4;

/** How a table is read. */
export interface CsvOptions {
  readonly isTsv: boolean;
  /** Names of the columns to read; those that the header lacks do not count. */
  readonly columns: readonly string[];
}

/**
 * The passages of a table, in order: each cell of its text columns, as the model reads it, without white space around it.
 * Columns are read that `columns` names; if the header has none of these, those with a usual name; else those most of
 * whose cells have four words or more. The header is not read, unless it looks like texts itself.
 */
export function csvPassages(text: string, { isTsv, columns }: CsvOptions): Passage[] {
  const delimiter = isTsv ? "\t" : csvDelimiterOf(text);
  const first: CsvRecord[] = [];
  for (const record of csvRecords(text, delimiter)) {
    first.push(record);
    if (first.length > MOST_LOOKED_AT) break;
  }
  const read = columnsOf(text, first, columns);
  const passages: Passage[] = [];
  let isHeader = hasHeader(text, first[0]);
  for (const record of csvRecords(text, delimiter)) {
    if (!isHeader) passages.push(...passagesIn(text, record, read));
    isHeader = false;
  }
  return passages;
}

/** The names in a table's first row, which is the header where it has one. */
export function csvHeader(text: string, isTsv: boolean): string[] {
  for (const { cells } of csvRecords(text, isTsv ? "\t" : csvDelimiterOf(text)))
    return cells.map((cell) => csvValue(text, cell).trim());
  return [];
}

function columnsOf(text: string, records: readonly CsvRecord[], wanted: readonly string[]): ReadonlySet<number> {
  const [header, ...rest] = records;
  const names = (header?.cells ?? []).map((cell) => plain(csvValue(text, cell)));
  const named = (set: ReadonlySet<string>): number[] => [...names.keys()].filter((at) => set.has(names[at] ?? ""));
  const asked = named(new Set(wanted.map(plain)));
  if (asked.length > 0) return new Set(asked);
  const usual = named(usualNames);
  if (usual.length > 0) return new Set(usual);
  const body = hasHeader(text, header) ? rest : records;
  const isText = (at: number): boolean => {
    const cells = body.flatMap(({ cells: all }) => all[at] ?? []);
    return cells.length > 0 && 2 * cells.filter((cell) => wordsOf(text, cell) >= FEWEST_WORDS).length > cells.length;
  };
  return new Set([...names.keys()].filter(isText));
}

/** Whether the first record names columns rather than being one of texts. */
function hasHeader(text: string, first: CsvRecord | undefined): boolean {
  return first?.cells.every((cell) => wordsOf(text, cell) < FEWEST_WORDS) ?? true;
}

function plain(name: string): string {
  return name.trim().toLowerCase();
}

function wordsOf(text: string, cell: CsvCell): number {
  return csvValue(text, cell)
    .split(/\s+/u)
    .filter((word) => /\p{L}/u.test(word)).length;
}

function passagesIn(text: string, { cells }: CsvRecord, columns: ReadonlySet<number>): Passage[] {
  return cells.flatMap((cell, at) => (columns.has(at) ? cellPassages(text, cell) : []));
}

/** A cell's passages: doubled quotes as one, and line breaks of two characters as one, with their places in the file. */
function cellPassages(text: string, { start, end, isQuoted }: CsvCell): Passage[] {
  const raw = text.slice(start, end);
  if (!isQuoted) return stretchPassages(raw, { start, end }, undefined);
  const map = new OffsetMapBuilder();
  const value = raw.replaceAll(/""|\r\n/g, (pair, at: number) => {
    map.add(at, pair.length);
    return pair === '""' ? '"' : "\n";
  });
  return stretchPassages(value, { start, end }, map.finish());
}
