import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Contrast } from "../../tasks/contrast.ts";
import { readContrastFile } from "./contrast-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-contrasts-"));
});
afterAll(() => rm(folder, { recursive: true }));

const span = (answer: string) => ({ text: `Q: ${answer}`, start: 3, end: 3 + answer.length });
const contrast = (id: string, more: object = {}): Contrast => ({
  id,
  source: "pairs.jsonl",
  group: "g",
  positive: span("yes"),
  negative: span("no"),
  ...more,
});
async function fileOf(lines: readonly unknown[], name = "contrasts.jsonl"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
  return path;
}

describe("a file of contrasts", () => {
  it("is read in its order, with provenance and neutral side or without", async () => {
    const lines = [
      contrast("a", { neutral: span("perhaps"), provenance: { kind: "graded", grades: [1, 5] } }),
      contrast("b"),
    ];
    expect(await readContrastFile(await fileOf(lines))).toEqual(lines);
    expect(await readContrastFile(await fileOf(lines), { limit: 1 })).toEqual(lines.slice(0, 1));
  });

  it.each<[string, readonly unknown[], RegExp]>([
    ["a line that is no JSON", [contrast("a"), "{"], /contrasts\.jsonl, line 2 is not JSON/],
    ["a missing side", [contrast("a", { negative: undefined })], /line 1 is no contrast: negative: /],
    [
      "a span outside of its text",
      [contrast("a", { positive: { text: "unspeakable", start: 3, end: 30 } })],
      /line 1 is no contrast: positive: the range lies outside of the text/,
    ],
    ["an unknown field", [contrast("a", { word: "x" })], /line 1 is no contrast: .*word/],
    ["an id twice", [contrast("a"), contrast("b"), contrast("a")], /line 3 has the id of line 1/],
    ["nothing", [], /holds no contrasts/],
  ])("with %s is refused by line, without its texts", async (_, lines, says) => {
    const refused = readContrastFile(await fileOf(lines));
    await expect(refused).rejects.toThrow(says);
    await expect(refused).rejects.not.toThrow("unspeakable");
  });

  it("of another ending is refused", async () => {
    await expect(readContrastFile(await fileOf([contrast("a")], "contrasts.csv"))).rejects.toThrow(/ending in \.jsonl/);
  });

  it("is left within a block of rows on abort", async () => {
    const path = await fileOf(Array.from({ length: 2000 }, (_, at) => contrast(`${at}`)));
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(readContrastFile(path, { signal })).rejects.toThrow("enough");
  });
});
