import { describe, expect, it } from "vitest";
import { extremes, renderMarkdown, showCell, showPercent } from "./document.ts";

const source = { run: "demo", stage: "evaluate", key: "0123456789abcdef", seed: 7 };

describe("reports as Markdown", () => {
  it("shows tables with their sources", () => {
    const table = {
      id: "t",
      title: "Rewards",
      source,
      columns: ["who", "mean"],
      rows: [
        ["base", 0.123456],
        ["tuned", null],
      ],
      notes: ["A note."],
    };
    const text = renderMarkdown({
      format: 1,
      run: "demo",
      seed: 7,
      summary: ["It works."],
      sections: [{ title: "S", text: ["Words."], tables: [table], figures: [] }],
    });
    expect(text).toContain("- It works.");
    expect(text).toContain("| who | mean |\n| --- | ---: |\n| base | 0.1235 |\n| tuned | – |");
    expect(text).toContain("run demo, stage evaluate (0123456789abcdef), seed 7");
  });

  it.each([
    [0, "0"],
    [12, "12"],
    [0.000012345, "1.23e-5"],
    [-1.23456, "-1.235"],
    [1e9 + 0.5, "1.00e+9"],
    [null, "–"],
  ])("shows %s as %s", (value, shown) => {
    expect(showCell(value)).toBe(shown);
  });

  it("lets no text become markup, a link or a cell", () => {
    const hostile = "a | b\n# c ![x](http://e/) <img src=x> [l](command:run) `code` **d**";
    const shown = showCell(hostile);
    expect(shown).not.toMatch(/(^|[^\\])[|`*<>[\]#!]/);
    expect(showCell("see https://e.org or www.e.org")).toBe("see https\\://e.org or www\\.e.org");
    expect(shown.split("\n")).toHaveLength(1);
  });

  it("shows what a text hides instead of letting it act", () => {
    expect(showCell("abc\u202efed\u0007 x\u200by\u001b[31m")).toBe(
      "abc\\\\u202efed\\\\u0007 x\\\\u200by\\\\u001b\\[31m",
    );
  });
});

it("shows shares as per cent, and of a ranked list the ends, each once", () => {
  expect([showPercent(null), showPercent(0), showPercent(0.12345), showPercent(1)]).toEqual([
    "–",
    "0 %",
    "12.3 %",
    "100 %",
  ]);
  const ranked = [1, 2, 3, 4, 5];
  expect(extremes(ranked, 4)).toEqual([1, 2, 4, 5]);
  expect(extremes(ranked, 3)).toEqual([1, 2, 4, 5]);
  expect(extremes(ranked, 99)).toEqual([1, 2, 4, 5]);
  expect(extremes(ranked, 0)).toEqual([]);
});
