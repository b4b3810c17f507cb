/** Which documents are read. */
import * as vscode from "vscode";

const languages = ["plaintext", "markdown", "jsonl"] as const;
/** Output, search results, diffs of version control and the like are nobody's text. */
const schemes = ["file", "untitled", "vscode-vfs", "vscode-test-web"] as const;

/** For the language client. */
export const documentSelector = schemes.flatMap((scheme) => languages.map((language) => ({ scheme, language })));

/** Whether a document is a text that is read at all. */
export function isReadable(document: vscode.TextDocument): boolean {
  return vscode.languages.match(documentSelector, document) > 0;
}

/** Offsets in UTF-16 units, as the server gives them, as a place of the document. */
export function rangeOf(
  document: vscode.TextDocument,
  { start, end }: { readonly start: number; readonly end: number },
): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}
