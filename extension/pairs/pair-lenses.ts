/** A line above each record of a preference file that says how its pair was learned. */
import * as vscode from "vscode";
import { listPairs, showPairWords } from "../../server/protocol/commands.ts";
import { differs, type ReadPairRecord } from "../../server/protocol/pairs.ts";
import type { Extension } from "../context.ts";
import { documentSelector } from "../documents.ts";
import { pairTitle } from "./pair-text.ts";

export function createPairLenses(extension: Extension): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  /** Lines that had a lens: they keep it while the text is read again, so that the text stays in its place. */
  const lines = new WeakMap<vscode.TextDocument, readonly number[]>();
  /** Numbers of pairs that were told; undefined while the text is read again. */
  const told = new WeakMap<vscode.TextDocument, number | undefined>();
  const isNews = (document: vscode.TextDocument, pairs: number | undefined): boolean => {
    const isSame = told.has(document) && told.get(document) === pairs;
    told.set(document, pairs);
    return !isSame;
  };
  const provider: vscode.CodeLensProvider = {
    onDidChangeCodeLenses: changed.event,
    provideCodeLenses: (document) => {
      const reader = extension.overlay.of(document);
      const pairs = reader?.current?.pairs;
      if (pairs !== undefined) {
        lines.set(
          document,
          pairs.map(({ line }) => line),
        );
        return pairs.flatMap((pair) => lensOf(extension, document, pair) ?? []);
      }
      if (reader?.isReading !== true) lines.delete(document);
      return (lines.get(document) ?? [])
        .filter((line) => line < document.lineCount)
        .map((line) => new vscode.CodeLens(rangeAt(line), { title: "$(sync)\u00a0reading the pair", command: "" }));
    },
  };
  return vscode.Disposable.from(
    changed,
    extension.overlay.onDidChange((document) => {
      // Lenses that stay the same are not asked for again: that would move the text and so be a change itself.
      if (document !== undefined && !isNews(document, extension.overlay.of(document)?.current?.pairs.length)) return;
      changed.fire();
    }),
    vscode.languages.registerCodeLensProvider(documentSelector, provider),
  );
}

function lensOf({ lens }: Extension, { uri }: vscode.TextDocument, pair: ReadPairRecord): vscode.CodeLens | undefined {
  if (lens.kind !== "ready") return undefined;
  const { line, start, end, result } = pair;
  const title = pairTitle(result, lens.info);
  const place = { uri: uri.toString(), start, end };
  if (result.kind === "unread")
    return new vscode.CodeLens(rangeAt(line), { title: `$(circle-slash)\u00a0${title}`, command: "" });
  const words = { command: showPairWords.id, arguments: [place], tooltip: "Show the words behind the margin" };
  const list = { command: listPairs.id, arguments: [{ uri: uri.toString() }], tooltip: "List such pairs" };
  return new vscode.CodeLens(
    rangeAt(line),
    differs(pair) ? { title: `$(warning)\u00a0${title}`, ...list } : { title: `$(check)\u00a0${title}`, ...words },
  );
}

function rangeAt(line: number): vscode.Range {
  return new vscode.Range(line, 0, line, 0);
}
