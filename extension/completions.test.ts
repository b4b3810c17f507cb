import { describe, expect, it } from "vitest";
import type { TextEditor } from "vscode";
import { Position, Range } from "../test/support/vscode-stub.ts";
import { promptsOf, textOf } from "./completions.ts";

const lines = ["Another paragraph.", "", "I saw it yesterday:", "a great film"];

/** An editor of these lines with its cursor at a place and nothing selected. */
function editorAt(line: number, character: number): TextEditor {
  const document = {
    lineAt: (at: number) => ({ isEmptyOrWhitespace: (lines[at] ?? "").trim() === "" }),
    getText: ({ start, end }: Range) =>
      lines
        .slice(start.line, end.line + 1)
        .map((text, at, all) => (at === all.length - 1 ? text.slice(0, end.character) : text))
        .join("\n"),
    getWordRangeAtPosition: (position: Position, pattern: RegExp) => {
      for (const found of (lines[position.line] ?? "").matchAll(new RegExp(pattern, "gu"))) {
        const end = found.index + found[0].length;
        if (found.index <= position.character && position.character <= end)
          return new Range(position.line, found.index, position.line, end);
      }
      return undefined;
    },
  };
  return { document, selections: [{ isEmpty: true, active: new Position(line, character) }] } as unknown as TextEditor;
}

describe("what is completed without a selection", () => {
  it.each([
    [3, "a gr".length, "I saw it yesterday:\na great"],
    [3, "a great".length, "I saw it yesterday:\na great"],
    [3, "a ".length, "I saw it yesterday:\na"],
    [2, "I saw".length, "I saw"],
  ])("is the paragraph up to line %i, character %i, and never half a word", (line, character, prompt) => {
    expect(promptsOf(editorAt(line, character))).toEqual([prompt]);
  });
});

it("completions show where the prompt ends", () => {
  const completion = { prompt: "a great", before: " film", after: " cast", rewardBefore: 0.5, rewardAfter: null };
  expect(textOf([completion], "before")).toBe("a great ▸ film\n\nreward +0.50\n");
  expect(textOf([completion], "after")).toBe("a great ▸ cast\n\n");
});
