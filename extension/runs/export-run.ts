/** Exports a finished run into a folder that the person chooses. */
import { basename, join } from "node:path";
import * as vscode from "vscode";
import { ExportKind, ExportRun, exportWords } from "../../server/protocol/exports.ts";
import type { Extension } from "../context.ts";
import { freeName } from "./names.ts";
import { runOf } from "./run-commands.ts";

/** Asks as what and where, and exports the clicked run, or one that the person picks. */
export async function exportRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await runOf(extension, clicked, /\breport\b/, "Which run is exported?");
  if (run === undefined) return;
  const kind = await pickKind(run.name);
  if (kind === undefined) return;
  const parent = await pickParent(run.name);
  if (parent === undefined) return;
  const entries = await vscode.workspace.fs.readDirectory(parent);
  const to = join(
    parent.fsPath,
    freeName(
      `${run.name}-${kind}`,
      entries.map(([name]) => name),
    ),
  );
  const progress = {
    location: vscode.ProgressLocation.Notification,
    title: `LFP Lens: exporting ${run.name}`,
    cancellable: true,
  };
  const { folder, notes } = await vscode.window.withProgress(
    progress,
    async (_, token) => await extension.server.request(ExportRun, { folder: run.folder, kind, to }, token),
  );
  const show = "Show Folder";
  const told = [`${run.name} is exported to ${basename(folder)}`, ...notes].map((one) => `${one}.`).join(" ");
  const answer = await vscode.window.showInformationMessage(told, show);
  if (answer === show) await vscode.commands.executeCommand("revealFileInOS", vscode.Uri.file(folder));
}

async function pickKind(name: string): Promise<ExportKind | undefined> {
  const items = ExportKind.options.map((kind) => ({
    label: exportWords[kind].title,
    detail: exportWords[kind].about,
    exported: kind,
  }));
  return (await vscode.window.showQuickPick(items, { title: `Export ${name}`, placeHolder: "As what?" }))?.exported;
}

async function pickParent(name: string): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: `Folder in which ${name} is exported to a new folder`,
    openLabel: "Export Here",
    canSelectFiles: false,
    canSelectFolders: true,
  });
  return picked?.[0];
}
