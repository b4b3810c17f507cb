import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTexts } from "./texts.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-data-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, contents: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

const jsonl = '{"text":"one\\nline"}\r\n\n{"text":"größer","label":1}\n';
const expectedJson = [
  { row: 0, text: "one\nline" },
  { row: 2, text: "größer" },
];

describe("data files", () => {
  it("reads JSONL, zipped or not, and keeps row numbers over empty lines", async () => {
    expect(await readTexts(await file("a.jsonl", jsonl), { field: "text" })).toEqual(expectedJson);
    expect(await readTexts(await file("a.jsonl.gz", gzipSync(jsonl)), { field: "text" })).toEqual(expectedJson);
    expect(await readTexts(join(folder, "a.jsonl"), { field: "text", limit: 1 })).toEqual(expectedJson.slice(0, 1));
    expect(await readTexts(await file("b.jsonl", `\ufeff${jsonl}`), { field: "text" })).toEqual(expectedJson);
  });

  it("ends a row of JSONL at a line break alone, not at a separator inside a text", async () => {
    const texts = ["one\u2028two\u2029three\u0085four", "a\rb"];
    const lines = texts.map((text) => `${JSON.stringify({ text })}\n`).join("");
    expect(lines).toContain("\u2028");
    const expected = texts.map((text, row) => ({ row, text }));
    expect(await readTexts(await file("n.jsonl", lines), { field: "text" })).toEqual(expected);
    expect(await readTexts(await file("n.jsonl.gz", gzipSync(lines)), { field: "text" })).toEqual(expected);
  });

  it("reads lines that are longer than a chunk of the file, their characters whole", async () => {
    const texts = ["ö".repeat(100_001), "✓".repeat(70_000), "x"];
    const lines = texts.map((text) => JSON.stringify({ text })).join("\n");
    expect(await readTexts(await file("o.jsonl", lines), { field: "text" })).toEqual(
      texts.map((text, row) => ({ row, text })),
    );
  });

  it("reads CSV with empty lines between rows and at the end", async () => {
    const texts = ["one", "two"].map((text, row) => ({ row, text }));
    expect(await readTexts(await file("p.csv", "text,label\none,1\n\ntwo,0\n\n"), { field: "text" })).toEqual(texts);
  });

  it("reads CSV with quotes, line breaks and a byte order mark", async () => {
    const csv = '\ufefflabel,review\n1,"a ""quoted"", text\nover lines"\n0,plain\n';
    const texts = ['a "quoted", text\nover lines', "plain"].map((text, row) => ({ row, text }));
    expect(await readTexts(await file("b.csv", csv), { field: "review" })).toEqual(texts);
    expect(await readTexts(await file("b.csv.gz", gzipSync(csv)), { field: "review" })).toEqual(texts);
  });

  it("reads Parquet as other tools write it", async () => {
    const texts = await readTexts("test/fixtures/data/texts.parquet", { field: "text" });
    expect(texts).toEqual([
      { row: 0, text: "first" },
      { row: 1, text: "zweiter – ✓" },
      { row: 2, text: "" },
    ]);
  });

  it("reads Parquet with several groups of rows and other columns beside, up to a limit within a group", async () => {
    const path = "test/fixtures/data/groups.parquet";
    const texts = Array.from({ length: 5 }, (_, row) => ({ row, text: `row ${row}` }));
    expect(await readTexts(path, { field: "text" })).toEqual(texts);
    expect(await readTexts(path, { field: "text", limit: 3 })).toEqual(texts.slice(0, 3));
    await expect(readTexts(path, { field: "review" })).rejects.toThrow(
      "no text in field 'review' (it has id, text, meta)",
    );
  });

  it("stops when it is told to", async () => {
    const long = await file("s.jsonl", '{"text":"x"}\n'.repeat(200_000));
    const stop = new AbortController();
    const read = readTexts(long, { field: "text", signal: stop.signal });
    setImmediate(() => stop.abort(new Error("enough")));
    await expect(read).rejects.toThrow("enough");
  });

  it.each([
    ["c.jsonl", '{"text":"ok"}\n{"text":\n', /line 2 is not JSON/],
    ["d.jsonl", '{"body":"x","label":0}\n', /has no text in field 'text' \(it has body, label\)/],
    ["e.jsonl", "[1]\n", /expected an object/],
    ["f.jsonl", "\n\n", /holds no rows/],
    ["g.csv", "text,label\nx,1\ny\n", /is not CSV/],
    ["q.csv", "text,id,text\nx,1,y\n", /has two columns 'text': rename one/],
    ["r.jsonl", '{"text":null}\n', /row 1 has null in field 'text'; expected a text/],
    ["h.txt", "hello", /expected one ending in .jsonl/],
    ["i.jsonl.gz", "not zipped", /cannot be read/],
    ["k.csv", Buffer.from("text\ncaf\xe9\n", "latin1"), /cannot be read: it is not UTF-8/],
    ["l.jsonl", Buffer.from('{"text":"caf\xe9"}\n', "latin1"), /cannot be read: it is not UTF-8/],
    ["m.jsonl.gz", gzipSync(Buffer.from('{"text":"ok"}\n\xc3', "latin1")), /cannot be read: it is not UTF-8/],
    ["j.parquet", "PAR1 no", /cannot be read as Parquet/],
  ])("refuses %s with its place", async (name, contents, message) => {
    await expect(readTexts(await file(name, contents), { field: "text" })).rejects.toThrow(message);
  });

  it("names a file that is not there", async () => {
    await expect(readTexts(join(folder, "none.jsonl"), { field: "text" })).rejects.toThrow(/none\.jsonl/);
    await expect(readTexts(join(folder, "none.csv.gz"), { field: "text" })).rejects.toThrow(/none\.csv\.gz/);
  });
});
