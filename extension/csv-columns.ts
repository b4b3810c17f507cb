/** Lets a person choose the columns of the table in front whose cells are read. */
import * as vscode from "vscode";
import { csvDelimiterOf, csvRecords, csvValue } from "../server/protocol/csv-places.ts";
import { textFormatOf } from "../server/protocol/text-format.ts";
import { readSetting, section } from "./settings.ts";

/** Characters of a document in which its header is looked for. */
const MOST_HEADER = 100_000;

/** Asks for the columns and writes their names into the setting, of the workspace where there is one. */
export async function chooseCsvColumns(): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  const names = document === undefined ? [] : columnNames(document);
  if (names.length === 0) throw new Error("Open a CSV or TSV file whose first line names its columns.");
  const chosen = readSetting("csvColumns");
  const items = names.map((label) => ({ label, picked: chosen.includes(label) }));
  const picked = await vscode.window.showQuickPick(items, {
    title: "LFP Lens: the columns to read",
    placeHolder: "None: the columns that hold texts",
    canPickMany: true,
  });
  if (picked === undefined) return;
  // Columns of other files stay.
  const columns = [...chosen.filter((name) => !names.includes(name)), ...picked.map(({ label }) => label)];
  const { Global, Workspace } = vscode.ConfigurationTarget;
  const scope = vscode.workspace.workspaceFolders === undefined ? Global : Workspace;
  await vscode.workspace.getConfiguration(section).update("csvColumns", columns, scope);
}

/** The names in a table's first line; empty for a document that is none. */
export function columnNames(
  document: Pick<vscode.TextDocument, "languageId" | "uri" | "getText" | "positionAt">,
): string[] {
  const format = textFormatOf(document.languageId, document.uri.path);
  if (format !== "csv" && format !== "tsv") return [];
  const text = document.getText(new vscode.Range(document.positionAt(0), document.positionAt(MOST_HEADER)));
  const [header] = csvRecords(text, format === "tsv" ? "\t" : csvDelimiterOf(text));
  const names = (header?.cells ?? []).map((cell) => csvValue(text, cell).trim());
  return [...new Set(names.filter((name) => name !== ""))];
}
