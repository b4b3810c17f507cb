/** Which documents are read. */
import * as vscode from "vscode";

const languages = ["plaintext", "markdown", "jsonl"] as const;
/** Output, search results, diffs of version control and the like are nobody's text. */
const schemes = ["file", "untitled", "vscode-vfs", "vscode-test-web"] as const;

/** For the language client. */
export const documentSelector = schemes.flatMap((scheme) => languages.map((language) => ({ scheme, language })));

export function isReadable(document: vscode.TextDocument): boolean {
  return vscode.languages.match(documentSelector, document) > 0;
}
