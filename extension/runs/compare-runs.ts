/** Sets runs side by side in a page. */
import * as vscode from "vscode";
import { MOST_COMPARED } from "../../server/protocol/comparison.ts";
import type { Extension } from "../context.ts";
import { folderOf } from "./run-commands.ts";
import { runContext, runDescription } from "./run-text.ts";

/** Compares the runs that are selected in the Runs view, or those that the person picks. */
export async function compareRuns(extension: Extension, clicked: unknown, selected: unknown): Promise<void> {
  const chosen = new Set(Array.isArray(selected) ? selected.flatMap((node: unknown) => folderOf(node) ?? []) : []);
  const runFolders = chosen.size > 1 ? [...chosen] : await pickRuns(extension, folderOf(clicked));
  if (runFolders === undefined) return;
  if (runFolders.length < 2)
    throw new Error(`${runFolders.length} run is chosen, and a comparison needs at least two.`);
  if (runFolders.length > MOST_COMPARED)
    throw new Error(
      `${runFolders.length} runs are chosen; a page compares at most ${MOST_COMPARED}, lfp compare more.`,
    );
  await extension.pages.show({ page: "compare", runFolders });
}

async function pickRuns(extension: Extension, first: string | undefined): Promise<string[] | undefined> {
  const runs = (await extension.runs.model.all()).filter((run) => /\brun\b/.test(runContext(run)));
  if (runs.length < 2) throw new Error("There are not two runs yet that could be compared.");
  const items = runs.map((run) => ({
    label: run.name,
    description: runDescription(run, new Date()),
    detail: run.folder,
    picked: run.folder === first,
    folder: run.folder,
  }));
  const picked = await vscode.window.showQuickPick(items, {
    title: "LFP Lens: the runs to compare",
    placeHolder: "Two or more",
    canPickMany: true,
  });
  return picked?.map(({ folder }) => folder);
}
