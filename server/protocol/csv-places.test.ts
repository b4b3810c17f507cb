import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import { type CsvDelimiter, csvDelimiterOf, csvRecords, csvValue } from "./csv-places.ts";

const valuesOf = (text: string, delimiter: CsvDelimiter = ","): string[][] =>
  [...csvRecords(text, delimiter)].map(({ cells }) => cells.map((cell) => csvValue(text, cell)));

/** csv-parse is the reader of `lfp`'s data files, and another's work. */
const parsed = (text: string, delimiter: string): string[][] =>
  parse(text, { bom: true, skip_empty_lines: true, relax_column_count: true, delimiter });

const written = (cell: string, quoted: boolean, delimiter: string): string =>
  quoted || /["\r\n]/.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell;

describe("cells of a CSV text", () => {
  it("are those that csv-parse finds, whatever they hold", () => {
    const cell = fc.tuple(
      fc.string({ unit: fc.constantFrom("a", " ", '"', ",", ";", "\n", "\r\n", "é", "😀") }),
      fc.boolean(),
    );
    const delimiter = fc.constantFrom<CsvDelimiter>(",", ";", "\t");
    const input = fc.tuple(
      fc.array(fc.array(cell, { minLength: 1, maxLength: 4 })),
      delimiter,
      fc.constantFrom("\n", "\r\n"),
    );
    fc.assert(
      fc.property(input, ([rows, by, lineBreak]) => {
        const text = rows
          .map((row) => row.map(([value, quoted]) => written(value, quoted, by)).join(by))
          .join(lineBreak);
        expect(valuesOf(text, by)).toEqual(parsed(text, by));
      }),
    );
  });

  it("have places between their quotes, and records theirs", () => {
    const text = '\uFEFFid,text\r\n1,"a ""good"" one"\r\n\r\n2,plain\r\n';
    const records = [...csvRecords(text, ",")];
    expect(records.map(({ start, end }) => text.slice(start, end))).toEqual([
      "id,text",
      '1,"a ""good"" one"',
      "2,plain",
    ]);
    const [, quoted] = records[1]?.cells ?? [];
    expect(text.slice(quoted?.start, quoted?.end)).toBe('a ""good"" one');
  });

  it.each([
    ['a,"never closed, b\nc', [["a", "never closed, b\nc"]]],
    ['a "quoted" word,b', [['a "quoted" word', "b"]]],
    ['"closed" and more,b\nc', [["closed", "b"], ["c"]]],
    ["", []],
    ["\n\n", []],
    ['""', [[""]]],
    ["a,", [["a", ""]]],
  ])("of a text that is being edited are found all the same: %j", (text, cells) => {
    expect(valuesOf(text)).toEqual(cells);
  });

  it("take linear time in quotes that are never closed", () => {
    const text = '"a\n'.repeat(300_000);
    const start = cpuMs();
    expect([...csvRecords(text, ",")].length).toBeGreaterThan(0);
    expect(cpuMs() - start).toBeLessThan(5000);
  });
});

it.each([
  ["id,text", ","],
  ["id;text;more\n1,2,3,4", ";"],
  ["id\ttext", "\t"],
  ['"a;b;c;d",x', ","],
  ["one column", ","],
  ["", ","],
] as const)("the delimiter of %j is found in its first line", (text, delimiter) => {
  expect(csvDelimiterOf(text)).toBe(delimiter);
});
