import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NoPairsError, readPreferences } from "./preferences.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-preferences-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, contents: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** One row of each layout, and rows that give no pair. */
const mixed: readonly unknown[] = [
  { prompt: "How?", chosen: " So.", rejected: " No." },
  { chosen: "\n\nHuman: Hi\n\nAssistant: Yes", rejected: "\n\nHuman: Hi\n\nAssistant: No" },
  { chosen: "The film is good", rejected: "The film is bad", score: 3 },
  { prompt: [user("How?")], chosen: [assistant("So.")], rejected: [assistant("No.")] },
  { prompt: "How?", chosen: [user("How?"), assistant("So.")], rejected: [user("How?"), assistant("No.")] },
  { prompt: "How?", chosen: "same", rejected: "same" },
  { prompt: "How?", chosen: "", rejected: "No." },
  { prompt: "How?", chosen: "a", rejected: "b", rejected_2: "c" },
  { text: "no pair" },
  7,
];

describe("preference files", () => {
  it.each([
    ["mixed.jsonl", lines(mixed)],
    ["mixed.jsonl.gz", gzipSync(lines(mixed))],
  ])("counts rules and faults of %s row by row", async (name, contents) => {
    const { rows, pairs, faults } = await readPreferences(await file(name, contents));
    expect(rows).toBe(10);
    expect(pairs.map(({ row, rule }) => [row, rule])).toEqual([
      [0, "given"],
      [1, "transcript"],
      [2, "sharedText"],
      [3, "given"],
      [4, "sharedMessages"],
    ]);
    expect(faults).toEqual({ equalAnswers: 1, emptyAnswer: 1, moreAnswers: 1, fields: 2 });
  });

  it("reads CSV with the columns of texts", async () => {
    const csv = 'prompt,chosen,rejected,id\n"How,\nreally?", So., No.,1\nWhy?,same,same,2\n';
    const { pairs, faults } = await readPreferences(await file("a.csv", csv));
    expect(pairs).toEqual([
      {
        row: 0,
        rule: "given",
        preference: { kind: "texts", prompt: "How,\nreally?", chosen: " So.", rejected: " No." },
      },
    ]);
    expect(faults).toEqual({ equalAnswers: 1 });
  });

  it.each(["texts", "messages"])("reads Parquet of %s as other tools write it, other columns beside", async (kind) => {
    const { rows, pairs, faults } = await readPreferences(`test/fixtures/data/preferences-${kind}.parquet`);
    const expected = {
      texts: [
        { kind: "texts", prompt: "How?", chosen: " So.", rejected: " No." },
        { kind: "texts", prompt: "Why? ✓", chosen: " Größe", rejected: " No." },
      ],
      messages: [
        {
          kind: "messages",
          prompt: [user("How?")],
          chosen: [assistant("So.")],
          rejected: [assistant("No."), user("And?"), assistant("No.")],
        },
      ],
    }[kind];
    expect(pairs.map(({ preference }) => preference)).toEqual(expected);
    expect([rows, faults]).toEqual([3, kind === "texts" ? { equalAnswers: 1 } : { fields: 1, emptyAnswer: 1 }]);
  });

  it("says why no row gives a pair, with the fields that there are and none of the texts", async () => {
    const path = await file("none.jsonl", lines([{ question: "secret", good: "secret", bad: "secret" }]));
    const failure = await readPreferences(path).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NoPairsError);
    expect(String(failure)).toMatch(/none of the 1 rows of .*none\.jsonl gives a pair.*fields question, good, bad/);
    expect(String(failure)).not.toContain("secret");
  });

  it.each([
    ["broken.jsonl", '{"chosen": \n', /line 1 is not JSON/],
    ["empty.jsonl", "\n", /holds no rows/],
    ["a.txt", "", /expected one ending in .jsonl/],
  ])("refuses %s", async (name, contents, message) => {
    await expect(readPreferences(await file(name, contents))).rejects.toThrow(message);
  });

  it("stops when it is told to", async () => {
    const long = await file("long.jsonl", lines(mixed).repeat(40_000));
    const stop = new AbortController();
    const read = readPreferences(long, { signal: stop.signal });
    setImmediate(() => stop.abort(new Error("enough")));
    await expect(read).rejects.toThrow("enough");
  });
});
