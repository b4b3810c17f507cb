/** Exports finished runs: one table of the kinds of exports. */
import type { ExportKind } from "../../../protocol/exports.ts";
import { type ExportedFolder, writeExportFolder } from "./export-folder.ts";
import { type FinishedRun, readFinishedRun } from "./finished-run.ts";
import { type HubOptions, writeHub } from "./hub.ts";
import { usualCreator, writeNeuronpedia } from "./neuronpedia.ts";
import type { NeuronpediaOptions } from "./neuronpedia-about.ts";

/** Options of all kinds; each takes those that it knows. */
export type ExportOptions = HubOptions & NeuronpediaOptions;

export const usualExportOptions: ExportOptions = {
  base: null,
  merged: false,
  repository: null,
  creator: usualCreator,
};

/** Fills an empty folder, and returns what a person should know before passing it on, a sentence each. */
type Writer = (run: FinishedRun, folder: string, options: ExportOptions) => Promise<string[]>;

const writers: { readonly [K in ExportKind]: Writer } = { hub: writeHub, neuronpedia: writeNeuronpedia };

export interface ExportResult extends ExportedFolder {
  readonly kind: ExportKind;
  readonly notes: readonly string[];
}

/**
 * Exports a run into the folder `to`, whole or not at all; sends nothing anywhere. Throws `RunNotExportableError` for a
 * run that is not done, `ExportFolderError` for a folder with something else in it, and what reading the run throws.
 */
export async function exportRun(
  runFolder: string,
  kind: ExportKind,
  to: string,
  options: ExportOptions = usualExportOptions,
): Promise<ExportResult> {
  const run = await readFinishedRun(runFolder);
  let notes: string[] = [];
  const about = { kind, run: run.name };
  const written = await writeExportFolder(to, about, async (folder) => {
    notes = await writers[kind](run, folder, options);
  });
  return { kind, ...written, notes };
}
