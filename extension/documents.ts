/** Decides which documents the lens reads. */
import * as vscode from "vscode";
import { isExperimentFile, isSweepFile } from "../server/protocol/problems.ts";
import { readSetting, section } from "./settings.ts";

/**
 * URI schemes of documents that people write or compare (`git`: the other side of a diff), unlike output or search
 * results.
 */
const schemes: readonly string[] = [
  ...["file", "untitled", "vscode-vfs", "vscode-test-web"],
  ...["vscode-notebook-cell", "git", "vscode-local-history"],
];

const experimentLanguages: readonly string[] = ["json", "jsonc"];

/** Documents of other languages that a person wants read; forgotten when they are closed. */
const readAnyway = new WeakSet<vscode.TextDocument>();
const changed = new vscode.EventEmitter<void>();

/** Fires when other documents than before are readable. */
export const onDidChangeReadable: vscode.Event<void> = (listener, ...rest) =>
  vscode.Disposable.from(
    changed.event(listener, ...rest),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(`${section}.languages`)) listener.call(rest[0]);
    }),
  );

/** Whether a document is a text that the lens can read. */
export function isReadable(document: vscode.TextDocument): boolean {
  if (!schemes.includes(document.uri.scheme) || isExperiment(document)) return false;
  return readAnyway.has(document) || readSetting("languages").includes(document.languageId);
}

/** Whether a document is not read only because of its language, so that a person may ask for it. */
export function canBeRead(document: vscode.TextDocument): boolean {
  return schemes.includes(document.uri.scheme) && !isExperiment(document) && !isReadable(document);
}

/** Reads a document in whatever language it is, until it is closed. */
export function readInAnyLanguage(document: vscode.TextDocument): void {
  readAnyway.add(document);
  changed.fire();
}

/** Whether a document is an experiment or sweep file, which the server checks. */
export function isExperiment({ uri, languageId }: vscode.TextDocument): boolean {
  const isChecked = isExperimentFile(uri.path) || isSweepFile(uri.path);
  return schemes.includes(uri.scheme) && experimentLanguages.includes(languageId) && isChecked;
}

/** Whether VS Code sends a document to the server. */
export function isForServer(document: vscode.TextDocument): boolean {
  return isReadable(document) || isExperiment(document);
}

/** Every document that may become one for the server, whose sending `document-sync.ts` decides. */
export const documentSelector = schemes.map((scheme) => ({ scheme }));

/** Converts the server's offsets (UTF-16 units) into a range of the document. */
export function rangeOf(
  document: vscode.TextDocument,
  { start, end }: { readonly start: number; readonly end: number },
): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}

/** Like `rangeOf`, but without the white space with which most tokens begin; for navigation to a word. */
export function wordRangeOf(
  document: vscode.TextDocument,
  token: { readonly start: number; readonly end: number },
): vscode.Range {
  const text = document.getText(rangeOf(document, token));
  const start = token.start + text.length - text.trimStart().length;
  const { length } = text.trim();
  return rangeOf(document, length === 0 ? token : { start, end: start + length });
}
