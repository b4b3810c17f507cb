/**
 * Reads and writes the files of ablation sets as a person sees them: a set that is open with unsaved changes is edited
 * in its editor, so that none of them is lost; without a folder a set is an untitled document.
 */
import * as vscode from "vscode";

/** The text of a set; undefined if it cannot be read. Of an untitled set, what its editor shows. */
export async function readSetFile(uri: vscode.Uri): Promise<string | undefined> {
  if (uri.scheme === "untitled") return openDocument(uri)?.getText();
  try {
    return new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  } catch {
    return undefined;
  }
}

/**
 * Replaces the text of a set by what `change` makes of it; `before` is undefined for a new one. Throws what `change`
 * throws, and an error that names the file if it cannot be written.
 */
export async function changeSetFile(uri: vscode.Uri, change: (before: string | undefined) => string): Promise<void> {
  const open = openDocument(uri);
  if (open === undefined && uri.scheme === "untitled") {
    await replace(await vscode.workspace.openTextDocument(uri), change(undefined));
  } else if (open !== undefined && (open.isDirty || uri.scheme === "untitled")) {
    await replace(open, change(open.getText()));
    if (uri.scheme !== "untitled" && !(await open.save())) throw new Error(`${nameOf(uri)} could not be saved.`);
  } else {
    const text = change(await readSetFile(uri));
    try {
      await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(text));
    } catch (error) {
      throw new Error(
        `${nameOf(uri)} cannot be written: ${reasonOf(error)} An ablation set is a file of the workspace.`,
      );
    }
  }
}

/** Whether a set's text changes without its file: an untitled one, which has none. */
export function isUntitled(uri: vscode.Uri): boolean {
  return uri.scheme === "untitled";
}

export function nameOf(uri: vscode.Uri): string {
  return uri.path.slice(uri.path.lastIndexOf("/") + 1);
}

function openDocument(uri: vscode.Uri): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
}

async function replace(document: vscode.TextDocument, text: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, new vscode.Range(0, 0, document.lineCount, 0), text);
  if (!(await vscode.workspace.applyEdit(edit))) throw new Error(`${nameOf(document.uri)} could not be edited.`);
}

/** `the folder is read-only.`, or VS Code's own words. */
function reasonOf(error: unknown): string {
  const code = error instanceof vscode.FileSystemError ? error.code : "";
  if (code === "NoPermissions") return "its folder is read-only.";
  const message = error instanceof Error ? error.message : String(error);
  return /\b(EPERM|EACCES|EROFS)\b/.test(message) ? "its folder is read-only." : `${message}.`;
}
