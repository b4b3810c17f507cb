import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import { textFormatOf } from "../protocol/text-format.ts";
import { csvPassages } from "./csv-passages.ts";
import { documentPassages } from "./document-passages.ts";
import { endInDocument, fromDocument, toDocument } from "./passages.ts";

const texts = (text: string, columns: readonly string[] = [], isTsv = false): string[] =>
  csvPassages(text, { isTsv, columns }).map((passage) => passage.text);

describe("the texts of a table", () => {
  it("are the cells of the columns that a person named, whatever the case, and else of usual names", () => {
    const table = "id,Text,note\n1,good film,seen twice\n2,bad film,\n";
    expect(texts(table)).toEqual(["good film", "bad film"]);
    expect(texts(table, ["note"])).toEqual(["seen twice"]);
    expect(texts(table, ["NOTE ", "text"])).toEqual(["good film", "seen twice", "bad film"]);
    // A setting for other files says nothing of this one.
    expect(texts(table, ["body"])).toEqual(["good film", "bad film"]);
  });

  it("are found by what cells hold where no name says it, a table without a header too", () => {
    const row = "the film was not so bad";
    expect(texts(`a;b\n7;${row}\n8;it was a good one\n`)).toEqual([row, "it was a good one"]);
    expect(texts(`${row},4\nanother film that I liked,5\n`)).toEqual([row, "another film that I liked"]);
    expect(texts("a,b\n1,2\n")).toEqual([]);
    expect(texts("")).toEqual([]);
  });

  it("of tabs are split by tabs alone", () => {
    expect(texts("id\ttext\n1\tgood, and long; too\n", [], true)).toEqual(["good, and long; too"]);
  });

  it("are read as the model reads them, and their characters are found again in the file", () => {
    const table = 'id,text\r\n1," a ""good"" film,\r\nand ""more"""\r\n';
    const [passage] = csvPassages(table, { isTsv: false, columns: [] });
    if (passage === undefined) throw new Error("no passage");
    expect(passage.text).toBe('a "good" film,\nand "more"');
    const good = passage.text.indexOf('"good"');
    expect(table.slice(toDocument(passage, good), endInDocument(passage, good + 6))).toBe('""good""');
    const and = passage.text.indexOf("and");
    expect(table.slice(toDocument(passage, and), endInDocument(passage, and + 3))).toBe("and");
    expect(fromDocument(passage, table.indexOf("good"))).toBe(good + 1);
  });

  it("are those of csv-parse, cell by cell, each at its place", () => {
    const cell = fc.string({ unit: fc.constantFrom("a", "b", " ", '"', ",", "\n", "é", "😀"), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 8 }), (rows) => {
        const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`;
        const table = ["id,text", ...rows.map(([one, other]) => `${quoted(one)},${quoted(other)}`)].join("\n");
        const wanted = parse<{ text: string }>(table, { columns: true }).map(({ text }) => text.trim());
        const passages = csvPassages(table, { isTsv: false, columns: [] });
        expect(passages.map(({ text }) => text)).toEqual(wanted.filter((text) => text !== ""));
        for (const passage of passages)
          for (const [at, character] of [...passage.text].entries())
            if (character !== '"' && at < 3)
              expect(table.slice(toDocument(passage, passage.text.indexOf(character)))).toSatisfy((rest: string) =>
                rest.startsWith(character),
              );
      }),
    );
  });

  it("of megabytes are cut within seconds", () => {
    const table = `id,text\n${'1,"a ""good"" film"\n'.repeat(100_000)}`;
    const start = cpuMs();
    expect(texts(table)).toHaveLength(100_000);
    expect(cpuMs() - start).toBeLessThan(10_000);
  });
});

it.each([
  ["jsonl", "a.jsonl", "records"],
  ["csv", "a.txt", "csv"],
  ["csv (semicolon)", "a.csv", "csv"],
  ["tsv", "", "tsv"],
  ["plaintext", "/w/a.CSV", "csv"],
  ["plaintext", "a.tsv", "tsv"],
  ["plaintext", "csv", "text"],
  ["markdown", "a.csv", "text"],
  ["python", "a.py", "text"],
])("the format of %s in %j is %s", (language, path, format) => {
  expect(textFormatOf(language, path)).toBe(format);
});

it("a document that ends in .csv is read cell by cell, at any offset of a cell", () => {
  const table = "id,text\n1,good film\n2,bad film\n";
  const passages = documentPassages(table, { languageId: "plaintext", path: "file:///w/a.csv" });
  expect([...passages].map(({ text }) => text)).toEqual(["good film", "bad film"]);
  expect(passages.at(table.indexOf("bad"))?.text).toBe("bad film");
  expect(passages.at(0)).toBeUndefined();
  expect([...documentPassages(table, { languageId: "markdown" })]).toHaveLength(1);
});
