/** A finished run, as every export takes it. */
import { basename, join } from "node:path";
import { LfpError } from "../../../common/errors.ts";
import { exists } from "../../../common/exists.ts";
import { parseHubReference } from "../../../models/hub.ts";
import { resolveReference } from "../../../models/open.ts";
import { runPaths } from "../../../runs/run-folder.ts";
import { runStatus } from "../../../runs/run-status.ts";
import { describeState } from "../../../runs/state-words.ts";
import { type Autoencoders, autoencodersSchema, qualityFile, saeFolder } from "../../artifacts/autoencoders.ts";
import { readJson } from "../../artifacts/json-files.ts";
import { loadExperiment } from "../../experiment/resolve.ts";
import type { Experiment } from "../../experiment/schema.ts";

/** A run cannot be exported as it is. */
export class RunNotExportableError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, why: string) {
    super(`${folder} cannot be exported: ${why}`);
  }
}

export interface FinishedRun {
  /** Absolute. */
  readonly folder: string;
  readonly name: string;
  readonly experiment: Experiment;
  /** Versions of the programs that worked on it. */
  readonly versions: Readonly<Record<string, string>>;
  /** When it was last worked on, ISO 8601. */
  readonly updated: string;
  readonly dictionaries: Autoencoders["saes"];
}

/** The folder of a run's dictionaries, in the run and in what is exported. */
export const DICTIONARIES = "sae";

/** A dictionary's folder in what is exported, with `/`: an address on the hub has it too. */
export function dictionaryPath({
  model,
  layer,
  F,
}: Pick<Autoencoders["saes"][number], "model" | "layer" | "F">): string {
  return [DICTIONARIES, model, layer, F].join("/");
}

/** Reads a run that is done. Throws `RunNotExportableError`. */
export async function readFinishedRun(folder: string): Promise<FinishedRun> {
  const { state, record } = await runStatus(folder);
  if (state.kind !== "done" || record === undefined)
    throw new RunNotExportableError(
      folder,
      `only a run that is done has everything, and this one is ${describeState(state)}`,
    );
  for (const part of [DICTIONARIES, "report.json", "features.sqlite"])
    if (!(await exists(join(folder, part))))
      throw new RunNotExportableError(
        folder,
        `it has no ${part}. Run its experiment again with \`lfp run\`, which makes what is missing.`,
      );
  const { saes } = await readJson(join(folder, DICTIONARIES), qualityFile, autoencodersSchema);
  return {
    folder,
    name: record.name,
    experiment: await loadExperiment(runPaths(folder).experiment),
    versions: record.versions,
    updated: record.updated,
    dictionaries: await dictionariesThere(join(folder, DICTIONARIES), saes),
  };
}

/** Those that are in the folder: the run that comes with the program has not all that it measured. */
async function dictionariesThere(root: string, saes: Autoencoders["saes"]): Promise<Autoencoders["saes"]> {
  const found = await Promise.all(
    saes.map(async (one) => ((await exists(saeFolder(root, one.model, one.layer, one.F))) ? [one] : [])),
  );
  return found.flat();
}

/** The hub id that a reference to a model names; undefined for a folder and for the starter model. */
export async function hubIdOf(reference: string): Promise<string | undefined> {
  const found = await resolveReference(reference, { download: false }).catch(() => undefined);
  if (found !== undefined) return found.id;
  try {
    return parseHubReference(reference).id;
  } catch {
    return undefined;
  }
}

/** The hub ids of a run's data sets, and the names of its other sources of texts. */
export function dataOf({ data, analysis }: Experiment): { readonly hub: string[]; readonly others: string[] } {
  const sources = [data.source, ...(analysis === null ? [] : [analysis.source])];
  const hub = sources.flatMap((source) =>
    typeof source === "object" && "hub" in source ? [parseHubReference(source.hub, "dataset").id] : [],
  );
  const others = sources.flatMap((source) =>
    source === "starter" ? ["starter"] : "file" in source ? [basename(source.file)] : [],
  );
  return { hub: [...new Set(hub)], others: [...new Set(others)] };
}
