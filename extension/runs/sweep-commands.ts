/** Commands on sweeps that are there. */
import * as vscode from "vscode";
import { MOST_COMPARED } from "../../server/protocol/comparison.ts";
import { CancelSweep } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import { onlyOrPicked } from "./only-or-picked.ts";
import { isComparable, type KnownSweep, sweepContext, sweepDescription } from "./sweep-text.ts";

/** Stops a sweep's process and all its runs, each after a checkpoint. */
export async function cancelSweep(extension: Extension, clicked: unknown): Promise<void> {
  const found = await sweepOf(extension, clicked, /\bactive\b/, "Which sweep is to stop?");
  if (found !== undefined) await extension.server.request(CancelSweep, { folder: found.sweep.folder });
}

/** Sets a sweep's runs side by side, as far as they have results. */
export async function compareSweep(extension: Extension, clicked: unknown): Promise<void> {
  const found = await sweepOf(extension, clicked, /\bcomparable\b/, "Runs of which sweep?");
  if (found === undefined) return;
  const runFolders = found.runs.filter(isComparable).map(({ folder }) => folder);
  if (runFolders.length > MOST_COMPARED)
    throw new Error(
      `${found.sweep.name} has ${runFolders.length} runs with results; a page compares at most ${MOST_COMPARED}. Select some of them, or see comparison.md in the sweep's folder.`,
    );
  await extension.pages.show({ page: "compare", runFolders });
}

/** The clicked sweep, else the only matching one, else one that the person picks. */
export async function sweepOf(
  { runs: { model } }: Extension,
  clicked: unknown,
  fits: RegExp,
  question: string,
): Promise<KnownSweep | undefined> {
  await model.all();
  const folder = sweepFolderOf(clicked);
  const known = folder === undefined ? undefined : model.sweep(folder);
  if (known !== undefined) return known;
  const fitting = model.sweeps().filter((sweep) => fits.test(sweepContext(sweep)));
  if (fitting.length === 0) void vscode.window.showInformationMessage("LFP Lens: there is no sweep that this fits.");
  const itemOf = (found: KnownSweep) => ({
    label: found.sweep.name,
    description: sweepDescription(found),
    detail: found.sweep.folder,
  });
  return await onlyOrPicked(fitting, itemOf, question);
}

/** The folder of a sweep that a menu names. */
function sweepFolderOf(clicked: unknown): string | undefined {
  if (typeof clicked !== "object" || clicked === null || !("sweep" in clicked)) return undefined;
  return typeof clicked.sweep === "string" ? clicked.sweep : undefined;
}
