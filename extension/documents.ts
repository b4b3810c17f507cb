/** Decides which documents the lens reads. */
import * as vscode from "vscode";
import { EXPERIMENT_ENDING } from "../server/protocol/problems.ts";

const languages = ["plaintext", "markdown", "jsonl"] as const;
/** URI schemes of documents that people write, unlike output, search results or diffs of version control. */
const schemes = ["file", "untitled", "vscode-vfs", "vscode-test-web"] as const;

const texts = schemes.flatMap((scheme) => languages.map((language) => ({ scheme, language })));
const experiments = schemes.flatMap((scheme) =>
  ["json", "jsonc"].map((language) => ({ scheme, language, pattern: `**/*${EXPERIMENT_ENDING}` })),
);

/** Documents that VS Code sends to the server: texts, and experiment files, which it checks. */
export const documentSelector = [...texts, ...experiments];

/** Whether a document is a text that the lens can read. */
export function isReadable(document: vscode.TextDocument): boolean {
  return vscode.languages.match(texts, document) > 0;
}

/** Whether a document is an experiment file, which the server checks. */
export function isExperiment(document: vscode.TextDocument): boolean {
  return vscode.languages.match(experiments, document) > 0;
}

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
