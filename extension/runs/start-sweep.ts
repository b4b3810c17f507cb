import { basename } from "node:path";
import * as vscode from "vscode";
import { isSweepFile } from "../../server/protocol/problems.ts";
import type { Extension } from "../context.ts";
import { readSetting } from "../settings.ts";
import { rootFor } from "./run-commands.ts";
import { sweepOf } from "./sweep-commands.ts";
import { type SweepStart, sweepProcess } from "./sweep-process.ts";

/**
 * Runs the sweep file that a menu or the editor refers to, else one that the person picks, as a task: its terminal tells
 * how the runs stand and shows the results, and Ctrl-C there stops them.
 */
export async function startSweep(extension: Extension, clicked: unknown): Promise<void> {
  if (!isTrusted("starting a sweep")) return;
  const uri = clicked instanceof vscode.Uri ? clicked : (sweepInEditor() ?? (await pickSweepFile()));
  if (uri === undefined) return;
  const document = vscode.workspace.textDocuments.find((open) => open.uri.toString() === uri.toString());
  if (document?.isDirty === true) await document.save();
  const runsRoot = await rootFor(uri.fsPath);
  if (runsRoot === undefined) return;
  await runInTerminal(extension, basename(uri.fsPath), { file: uri.fsPath, runsRoot });
}

/** Goes on with a sweep's runs that are not done, in a terminal like that of its start. */
export async function resumeSweep(extension: Extension, clicked: unknown): Promise<void> {
  if (!isTrusted("going on with a sweep")) return;
  const found = await sweepOf(extension, clicked, /\bunfinished\b/, "Which sweep goes on?");
  if (found !== undefined) await runInTerminal(extension, found.sweep.name, { folder: found.sweep.folder });
}

/** Whether the workspace is trusted; warns where it is not. */
function isTrusted(what: string): boolean {
  if (!vscode.workspace.isTrusted)
    void vscode.window.showWarningMessage(`LFP Lens: ${what} needs a trusted workspace.`);
  return vscode.workspace.isTrusted;
}

async function runInTerminal({ vscode: context }: Extension, name: string, sweep: SweepStart["sweep"]): Promise<void> {
  const program = context.asAbsolutePath("dist/lfp.js");
  const { args, env } = sweepProcess({ program, sweep, runOn: readSetting("runOn") });
  const task = new vscode.Task(
    { type: "process" },
    vscode.TaskScope.Workspace,
    name,
    "LFP Lens",
    new vscode.ProcessExecution(process.execPath, [...args], { env: { ...env } }),
  );
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, panel: vscode.TaskPanelKind.Dedicated };
  await vscode.tasks.executeTask(task);
}

function sweepInEditor(): vscode.Uri | undefined {
  const uri = vscode.window.activeTextEditor?.document.uri;
  return uri !== undefined && isSweepFile(uri.path) ? uri : undefined;
}

async function pickSweepFile(): Promise<vscode.Uri | undefined> {
  const found = await vscode.workspace.findFiles("**/*.lfp-sweep.json", "**/node_modules/**", 200);
  if (found.length === 0) {
    void vscode.window.showInformationMessage(
      "LFP Lens: the workspace has no sweep file (*.lfp-sweep.json) yet; docs/sweep.md describes them.",
    );
    return undefined;
  }
  const items = found.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
  return (await vscode.window.showQuickPick(items, { placeHolder: "Which sweep?" }))?.uri;
}
