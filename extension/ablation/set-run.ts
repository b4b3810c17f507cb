/** The run that an ablation set belongs to, among those at hand. */
import * as vscode from "vscode";
import { type AblationSet, belongsTo } from "../../server/protocol/ablation.ts";
import type { RunView } from "../../server/protocol/runs.ts";
import { lookThrough } from "../choose-run.ts";
import type { Extension } from "../context.ts";
import { runInfoOf } from "../looked-through.ts";
import { nameOf } from "./set-file.ts";

/**
 * The run of a set: the one that the lens looks through if it has these dictionaries, else the newest that has; undefined
 * if none is at hand. Starts the server if needed.
 */
export async function runOfSet(
  { runs, lens }: Pick<Extension, "runs" | "lens">,
  set: Pick<AblationSet, "run">,
): Promise<RunView | undefined> {
  const workspace = await runs.model.all();
  const { bundled } = runs.model;
  const all = [...workspace, ...(bundled === null ? [] : [bundled])];
  const own = all.filter((run) => run.hasProbe && belongsTo(set, { name: run.name, dictionaries: run.dictionaries }));
  return own.find(({ folder }) => folder === runInfoOf(lens)?.runFolder) ?? own[0];
}

/** Looks through the run that the active set belongs to. Throws if there is no such run. */
export async function openRunOfSet(extension: Extension): Promise<void> {
  const { set } = extension.ablation;
  if (set?.run === undefined) throw new Error("The active ablation set does not say which run it belongs to.");
  const run = await runOfSet(extension, set);
  if (run === undefined)
    throw new Error(
      `No finished run of this workspace has the dictionaries of ${set.run.name}: open the folder that holds it, or choose another set.`,
    );
  await lookThrough(extension, run.folder);
}

/** Says that the active set is not applied because it belongs to another run, and offers to look through that. */
export async function offerRunOfSet(extension: Extension): Promise<void> {
  const { set, state, uri, idle } = extension.ablation;
  if (set === null || uri === undefined || state.kind !== "otherRun" || idle === undefined) return;
  const open = `Look Through ${state.run.name}`;
  const isAtHand = (await runOfSet(extension, set)) !== undefined;
  const where = isAtHand ? "" : ` No run of this workspace has those dictionaries.`;
  const chosen = await vscode.window.showInformationMessage(`LFP Lens: ${idle}.${where}`, ...(isAtHand ? [open] : []));
  if (chosen === open && extension.ablation.uri?.toString() === uri.toString()) await openRunOfSet(extension);
  else if (chosen === open) throw new Error(`${nameOf(uri)} is no longer the active set.`);
}
