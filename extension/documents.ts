/** Which documents are read. */
import * as vscode from "vscode";
import { EXPERIMENT_ENDING } from "../server/protocol/problems.ts";

const languages = ["plaintext", "markdown", "jsonl"] as const;
/** Output, search results, diffs of version control and the like are nobody's text. */
const schemes = ["file", "untitled", "vscode-vfs", "vscode-test-web"] as const;

const texts = schemes.flatMap((scheme) => languages.map((language) => ({ scheme, language })));
const experiments = schemes.flatMap((scheme) =>
  ["json", "jsonc"].map((language) => ({ scheme, language, pattern: `**/*${EXPERIMENT_ENDING}` })),
);

/** What the server is told of: texts, and experiment files, which it checks. */
export const documentSelector = [...texts, ...experiments];

/** Whether a document is a text that is read at all. */
export function isReadable(document: vscode.TextDocument): boolean {
  return vscode.languages.match(texts, document) > 0;
}

/** Whether a document is an experiment file that is checked. */
export function isExperiment(document: vscode.TextDocument): boolean {
  return vscode.languages.match(experiments, document) > 0;
}

/** Offsets in UTF-16 units, as the server gives them, as a place of the document. */
export function rangeOf(
  document: vscode.TextDocument,
  { start, end }: { readonly start: number; readonly end: number },
): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}

/** The same without the white space that most tokens begin with, which nobody means who goes to a word. */
export function wordRangeOf(
  document: vscode.TextDocument,
  token: { readonly start: number; readonly end: number },
): vscode.Range {
  const text = document.getText(rangeOf(document, token));
  const start = token.start + text.length - text.trimStart().length;
  const { length } = text.trim();
  return rangeOf(document, length === 0 ? token : { start, end: start + length });
}
