import { describe, expect, it } from "vitest";
import type { TextDocument } from "vscode";
import { setConfiguration } from "../test/support/vscode-stub.ts";
import { canBeRead, isForServer, isReadable, onDidChangeReadable, readInAnyLanguage } from "./documents.ts";

function document(languageId: string, scheme = "file", path = "/a"): TextDocument {
  return { languageId, uri: { scheme, path } } as unknown as TextDocument;
}

describe("a document", () => {
  it.each([
    ["markdown", "file", true],
    ["latex", "file", true],
    ["restructuredtext", "untitled", true],
    ["markdown", "vscode-notebook-cell", true],
    ["plaintext", "git", true],
    ["plaintext", "output", false],
    ["html", "file", false],
  ])("of the language %s and scheme %s is read: %s", (languageId, scheme, expected) => {
    expect(isReadable(document(languageId, scheme))).toBe(expected);
  });

  it("of another language is read once a person asks for it, and only that one", () => {
    const [asked, other] = [document("html"), document("html")];
    let changes = 0;
    const listening = onDidChangeReadable(() => changes++);
    expect([canBeRead(asked), canBeRead(document("html", "output"))]).toEqual([true, false]);
    readInAnyLanguage(asked);
    expect([isReadable(asked), canBeRead(asked), isReadable(other), changes]).toEqual([true, false, false, 1]);
    listening.dispose();
  });

  it("of a language that the settings name is read, and none of those that they leave out", () => {
    let changes = 0;
    const listening = onDidChangeReadable(() => changes++);
    setConfiguration("lfpLens.languages", ["html"]);
    expect([isReadable(document("html")), isReadable(document("markdown")), changes]).toEqual([true, false, 1]);
    setConfiguration("lfpLens.languages", undefined);
    listening.dispose();
  });

  it.each(["/a.lfp-experiment.json", "/a.lfp-sweep.json"])(
    "%s goes to the server for its check, but is no text",
    (path) => {
      const experiment = document("json", "file", path);
      expect([isForServer(experiment), isReadable(experiment), canBeRead(experiment)]).toEqual([true, false, false]);
      setConfiguration("lfpLens.languages", ["json"]);
      expect([isReadable(experiment), isReadable(document("json"))]).toEqual([false, true]);
      setConfiguration("lfpLens.languages", undefined);
    },
  );
});
