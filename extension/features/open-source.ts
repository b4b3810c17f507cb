/** Opens the text that an example of a feature was cut from. */
import { basename } from "node:path";
import * as vscode from "vscode";
import type { Extension } from "../context.ts";

/** Lines of a file in which an example is looked for: a cell of a table can have many. */
const MOST_LINES = 500;

/** Opens the file at the example's row and selects the example there, as far as the file writes it as one stretch. */
export async function openSource(
  { features }: Extension,
  runFolder: string,
  { source, text }: { readonly source: string; readonly text: string },
): Promise<void> {
  const { path, line } = await features.locate(runFolder, source);
  if (line === null)
    throw new Error(`${source} is a row of ${path}, and ${basename(path)} is no text that an editor can show.`);
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(path));
  const row = new vscode.Range(line, 0, line + MOST_LINES, 0);
  const found = stretchOf(document.getText(document.validateRange(row)), text);
  const start = document.offsetAt(new vscode.Position(line, 0));
  const selection =
    found === undefined
      ? document.lineAt(Math.min(line, document.lineCount - 1)).range
      : new vscode.Range(document.positionAt(start + found.start), document.positionAt(start + found.end));
  await vscode.window.showTextDocument(document, { selection });
}

/** Where a text that begins with a row has an example: as it is, or as JSON or CSV write it; undefined: nowhere. */
export function stretchOf(row: string, example: string): { readonly start: number; readonly end: number } | undefined {
  const wanted = example.trim();
  if (wanted === "") return undefined;
  const json = JSON.stringify(wanted).slice(1, -1);
  const ascii = json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  for (const written of [wanted, json, ascii, wanted.replaceAll('"', '""')]) {
    const start = row.indexOf(written);
    if (start >= 0) return { start, end: start + written.length };
  }
  return undefined;
}
