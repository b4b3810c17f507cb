/**
 * A run as a repository of the Hugging Face hub: the tuned model or its adapter at the top, sae/MODEL/LAYER/FEATURES/ with
 * dictionaries as SAELens loads them, report.md, report.html, report.json, experiment.json, and the card README.md.
 */

import { copyFile, mkdir } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../../common/atomic-file.ts";
import { exists } from "../../../common/exists.ts";
import { parseJson } from "../../../common/json.ts";
import { readTextFile } from "../../../common/text-file.ts";
import { isAdapterFolder } from "../../../models/adapter.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from "../../../models/adapter-config.ts";
import { isModelFile, isTokenizerFile } from "../../../models/model-files.ts";
import { listFiles } from "../../../runs/files.ts";
import { runPaths } from "../../../runs/run-folder.ts";
import { adapterFolder } from "../../../tuning/policy.ts";
import { givenModelOf } from "../../experiment/schema.ts";
import { renderHtml } from "../../report/html.ts";
import { tokenizerFolderOf } from "../model-folders.ts";
import { readRunReport } from "../run-report.ts";
import { DICTIONARIES, type FinishedRun, hubIdOf, RunNotExportableError } from "./finished-run.ts";
import { type CardModel, modelCard } from "./model-card.ts";

export interface HubOptions {
  /** Hub id of the base model; null: as the run names it, if by its hub id. */
  readonly base: string | null;
  /** Whether adapters are exported merged into the weights even where they could stand alone. */
  readonly merged: boolean;
  /** Id of the repository that the folder becomes, for the card's examples; null if it is not known yet. */
  readonly repository: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** Writes a run into an empty folder. Returns notes for the person. Throws what reading the run throws. */
export async function writeHub(run: FinishedRun, folder: string, options: HubOptions): Promise<string[]> {
  const { experiment } = run;
  const notes = ["README.md states no licence: choose one that the base model's and the data's licences allow"];
  const base = options.base ?? (await hubIdOf(experiment.model)) ?? null;
  const copy = copierTo(folder, options.signal);
  const model = await exportModel(run, folder, { ...options, base, copy, notes });
  await copy(join(run.folder, DICTIONARIES), await listFiles(join(run.folder, DICTIONARIES), "followed"), DICTIONARIES);
  const report = await readRunReport(run.folder, { isReadOnly: true });
  if (report === undefined) throw new RunNotExportableError(run.folder, "its report.json is gone");
  await writeFileAtomically(join(folder, "report.md"), report.markdown);
  await writeFileAtomically(join(folder, "report.html"), renderHtml(report.report));
  await writeFileAtomically(join(folder, "report.json"), `${JSON.stringify(report.report, undefined, 2)}\n`);
  const experimentText = await readTextFile(runPaths(run.folder).experiment, "config");
  await writeFileAtomically(join(folder, "experiment.json"), experimentText);
  notes.push("report.md, report.html and report.json show words and completions of your texts");
  const places = placesIn(parseJson(experimentText));
  if (places.length > 0)
    notes.push(`experiment.json names places of this machine or network: ${places.slice(0, 5).join(", ")}`);
  const card = modelCard(run, { base, model, repository: options.repository, summary: report.report.summary });
  await writeFileAtomically(join(folder, "README.md"), card);
  return notes;
}

type Copier = (from: string, paths: readonly string[], to?: string) => Promise<void>;

/** Copies files by their paths in a folder, following links; adds `to` before their paths. */
function copierTo(folder: string, signal: AbortSignal | undefined): Copier {
  return async (from, paths, to = ".") => {
    for (const path of paths) {
      signal?.throwIfAborted();
      const target = join(folder, to, path);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(join(from, path), target);
    }
  };
}

/** Copies the model that the run made, and says what was copied. Throws `RunNotExportableError`. */
async function exportModel(
  run: FinishedRun,
  folder: string,
  {
    base,
    merged,
    copy,
    notes,
  }: Pick<HubOptions, "base" | "merged"> & { readonly copy: Copier; readonly notes: string[] },
): Promise<CardModel> {
  const given = givenModelOf(run.experiment);
  if (given !== undefined) {
    notes.push("the run did not make its tuned model, so the folder holds none");
    return { kind: "none", tuned: (await hubIdOf(given)) ?? null };
  }
  const tuned = join(run.folder, "tuned");
  // Of a large model a run saves nothing but the adapter.
  const isAlone = await isAdapterFolder(tuned);
  if (isAlone && merged)
    throw new RunNotExportableError(
      run.folder,
      "its model is large, and its adapter was never merged: leave --merged out",
    );
  if (isAlone && base === null)
    throw new RunNotExportableError(
      run.folder,
      "its tuned model is an adapter of a large model, whose hub id the run does not know: name it with --base OWNER/NAME",
    );
  const adapter = isAlone ? tuned : join(tuned, adapterFolder);
  const hasAdapter = await exists(join(adapter, ADAPTER_CONFIG_FILE));
  if (merged || !hasAdapter || base === null) {
    await copy(tuned, await listFiles(tuned, "followed", isModelFile));
    if (hasAdapter && !merged)
      notes.push(
        "the base model has no hub id that the run knows, so the adapter is merged into the weights; --base OWNER/NAME exports it alone",
      );
    return { kind: "whole" };
  }
  const tokenizer = await tokenizerFolderOf(tuned, run.experiment);
  await copy(tokenizer, await listFiles(tokenizer, "followed", isTokenizerFile));
  await copy(adapter, [ADAPTER_WEIGHTS_FILE]);
  await writeFileAtomically(join(folder, ADAPTER_CONFIG_FILE), await adapterConfigOn(adapter, base));
  return { kind: "adapter" };
}

const adapterBase = z.looseObject({ base_model_name_or_path: z.string().nullish() });

/** adapter_config.json with the base model as others find it: a revision holds for the repository that it is of. */
async function adapterConfigOn(adapter: string, base: string): Promise<string> {
  const config = adapterBase.parse(parseJson(await readTextFile(join(adapter, ADAPTER_CONFIG_FILE), "config")));
  const isSame = config.base_model_name_or_path === base;
  const named = isSame ? config : { ...config, base_model_name_or_path: base, revision: null };
  return `${JSON.stringify(named, undefined, 2)}\n`;
}

/** The strings of a JSON value that name a path or an address. */
function placesIn(value: unknown): string[] {
  if (typeof value === "string") return isAbsolute(value) || /^(\.{1,2}|~)[/\\]|:\/\//.test(value) ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return [...new Set(Object.values(value).flatMap(placesIn))];
}
