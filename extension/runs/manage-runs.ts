/** Commands that keep house among runs: reveal, rename, duplicate, delete. None touches a run that works. */
import { basename, dirname, join } from "node:path";
import * as vscode from "vscode";
import type { RunView } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import { freeName } from "./names.ts";
import { runOf } from "./run-commands.ts";
import { isActive, runSentence } from "./run-text.ts";

const anyRun = /\brun\b/;

/** Shows a run's folder in the system's file manager. */
export async function revealRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await runOf(extension, clicked, anyRun, "Which run's folder?");
  if (run !== undefined) await vscode.commands.executeCommand("revealFileInOS", vscode.Uri.file(run.folder));
}

export async function renameRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await restingRun(extension, clicked, "Which run gets another name?", "renamed");
  if (run === undefined) return;
  const name = await askForName(extension, run, `Rename ${run.name}`, run.name);
  if (name === undefined || name === run.name) return;
  await vscode.workspace.fs.rename(vscode.Uri.file(run.folder), vscode.Uri.file(join(dirname(run.folder), name)));
  extension.runs.model.refresh();
}

/** Copies a run's folder, for instance to go on with the copy under other settings. */
export async function duplicateRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await restingRun(extension, clicked, "Which run is copied?", "copied");
  if (run === undefined) return;
  const name = await askForName(
    extension,
    run,
    `Duplicate ${run.name}`,
    freeName(run.name, namesBeside(extension, run)),
  );
  if (name === undefined) return;
  const progress = { location: vscode.ProgressLocation.Window, title: `LFP Lens: copying ${run.name}` };
  const [from, to] = [vscode.Uri.file(run.folder), vscode.Uri.file(join(dirname(run.folder), name))];
  await vscode.window.withProgress(
    progress,
    async () => await vscode.workspace.fs.copy(from, to, { overwrite: false }),
  );
  extension.runs.model.refresh();
}

/** Moves a run's folder to the system's trash, once the person has confirmed. */
export async function deleteRun(extension: Extension, clicked: unknown): Promise<void> {
  const run = await restingRun(extension, clicked, "Which run is deleted?", "deleted");
  if (run === undefined) return;
  const trash = "Move to Trash";
  const detail = `${runSentence(run)}. Its models, dictionaries, report, and the notes on its features go with it: ${run.folder}`;
  const answer = await vscode.window.showWarningMessage(`Delete the run ${run.name}?`, { modal: true, detail }, trash);
  if (answer !== trash) return;
  await vscode.workspace.fs.delete(vscode.Uri.file(run.folder), { recursive: true, useTrash: true });
  extension.runs.model.refresh();
}

/** A run that nothing works on; throws for one that is active or about to stop. */
async function restingRun(
  extension: Extension,
  clicked: unknown,
  question: string,
  done: "renamed" | "copied" | "deleted",
): Promise<RunView | undefined> {
  const run = await runOf(extension, clicked, anyRun, question);
  if (run === undefined) return undefined;
  if (isActive(run.state)) throw new Error(`${run.name} is at work and cannot be ${done}. Cancel it first.`);
  if (run.sweep !== null && done !== "deleted")
    throw new Error(
      `${run.name} is a run of the sweep ${basename(run.sweep)}, which finds it by its name: it cannot be ${done}.`,
    );
  return run;
}

function namesBeside({ runs }: Extension, { folder }: RunView): string[] {
  return runs.model
    .known()
    .filter((other) => dirname(other.folder) === dirname(folder))
    .map(({ name }) => name);
}

async function askForName(
  extension: Extension,
  run: RunView,
  title: string,
  value: string,
): Promise<string | undefined> {
  const taken = namesBeside(extension, run).filter((name) => name !== basename(run.folder) || value !== run.name);
  return await vscode.window.showInputBox({ title, value, validateInput: (text) => problemWith(text, taken) });
}

/** Why a run cannot have a name beside those that are taken; undefined if it can. */
export function problemWith(name: string, taken: readonly string[]): string | undefined {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
    return "Lower-case letters, digits and hyphens, 64 at most, a letter or digit first.";
  return taken.includes(name) ? `There is a run ${name} already.` : undefined;
}
