/** What Neuronpedia knows of a dictionary besides its features: its release, model, set of sources and source. */
import { join } from "node:path";
import type { z } from "zod";
import { parseJson } from "../../../common/json.ts";
import { readTextFile } from "../../../common/text-file.ts";
import { readConfig } from "../../../models/config.ts";
import { hookOf, type Site, sites } from "../../../models/sites.ts";
import { slug } from "../../../protocol/slug.ts";
import type { Dictionary } from "../../artifacts/autoencoders.ts";
import { tunedFolderOf } from "../model-folders.ts";
import { dataOf, dictionaryPath, type FinishedRun, hubIdOf } from "./finished-run.ts";
import type { FeaturePlaceThere } from "./neuronpedia-features.ts";
import { modelRow, releaseRow, sourceRow, sourceSetRow } from "./neuronpedia-rows.ts";

export interface NeuronpediaOptions {
  /** Hub id of the base model; null: as the run names it, if by its hub id. */
  readonly base: string | null;
  /** Id of the user there to whom everything belongs. */
  readonly creator: string;
  /** The hub repository with the dictionaries, laid out as the hub export does; null if there is none. */
  readonly repository: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** What is the same for all dictionaries of a run. */
export interface RunThere extends Pick<NeuronpediaOptions, "creator" | "repository"> {
  readonly run: FinishedRun;
  /** The run's name, and the base model's, as parts of ids. */
  readonly name: string;
  readonly base: string;
  /** Owner of the base model on the hub, or nothing. */
  readonly owner: string;
  readonly layers: number;
}

export async function runThere(
  run: FinishedRun,
  { base: given, creator, repository }: Omit<NeuronpediaOptions, "signal">,
): Promise<RunThere> {
  const { model } = run.experiment;
  const id = given ?? (await hubIdOf(model));
  const [base = "", owner = ""] = (id ?? model)
    .split(/[/\\]/)
    .filter((part) => part !== "")
    .toReversed();
  const { config } = await readConfig(await tunedFolderOf(run.folder, run.experiment));
  return {
    run,
    name: slug(run.name) || "run",
    base: slug(base) || "model",
    owner: id === undefined ? "" : owner,
    layers: config.layers,
    creator,
    repository,
  };
}

/** What sets of sources are called there by what they encode. */
const siteThere: { readonly [S in Site]: string } = { "mlp-output": "mlp", residual: "res" };

/** Names of a dictionary there. The tuned model is called by its base and its run. */
export function dictionaryThere(
  { run, name, base, creator }: RunThere,
  { model, layer, F }: Dictionary,
): FeaturePlaceThere {
  const { site } = run.experiment.sae;
  const sourceSetName = `${siteThere[site]}-${name}-${F}`;
  return {
    modelId: { base, tuned: `${base}-${name}` }[model].slice(0, 128),
    sourceSetName,
    layer: `${layer}-${sourceSetName}`,
    hookName: hookOf({ layer, site }),
    creatorId: creator,
    createdAt: run.updated,
  };
}

/** A file's name, the schema of its only row, and the row. */
type AboutFile = readonly [name: string, schema: z.ZodType, row: unknown];

/** The four files about a dictionary. */
export async function aboutFiles(there: RunThere, dictionary: Dictionary): Promise<AboutFile[]> {
  const names = dictionaryThere(there, dictionary);
  const { creatorId, createdAt } = names;
  const shared = { creatorId, createdAt, visibility: "PUBLIC" };
  return [
    ["release.jsonl", releaseRow, { ...shared, ...releaseOf(there) }],
    ["model.jsonl", modelRow, { ...shared, ...modelThere(there, names) }],
    ["sourceset.jsonl", sourceSetRow, { ...shared, ...sourceSetOf(there, dictionary, names) }],
    ["source.jsonl", sourceRow, { ...shared, ...(await sourceOf(there, dictionary, names)) }],
  ];
}

const creatorName = "LFP Lens";

function releaseName({ name }: RunThere): string {
  return `lfp-${name}`;
}

function releaseOf(there: RunThere) {
  const { run, base, repository } = there;
  return {
    name: releaseName(there),
    description: `What feedback changed in ${base}: the run ${run.name} of LFP Lens`,
    descriptionShort: run.name,
    urls: repository === null ? [] : [`https://huggingface.co/${repository}`],
    creatorName,
    creatorNameShort: creatorName,
  };
}

function modelThere({ layers, owner }: RunThere, { modelId, createdAt }: FeaturePlaceThere) {
  return {
    id: modelId,
    displayName: modelId,
    displayNameShort: modelId,
    inferenceEnabled: false,
    instruct: false,
    layers,
    neuronsPerLayer: 0,
    owner,
    updatedAt: createdAt,
  };
}

function whose({ run }: RunThere, { model }: Dictionary): string {
  return `${model === "tuned" ? "Tuned" : "Base"} model of the run ${run.name} of LFP Lens`;
}

function sourceSetOf(there: RunThere, dictionary: Dictionary, { modelId, sourceSetName }: FeaturePlaceThere) {
  const { site } = there.run.experiment.sae;
  return {
    modelId,
    name: sourceSetName,
    hasDashboards: true,
    description: `${whose(there, dictionary)}: ${sites[site].inWords}, ${dictionary.F} features a layer`,
    type: siteThere[site],
    creatorName,
    urls: [],
    releaseName: releaseName(there),
  };
}

async function sourceOf(
  there: RunThere,
  dictionary: Dictionary,
  { modelId, sourceSetName, layer: id }: FeaturePlaceThere,
) {
  const { run, repository } = there;
  const { model, layer, F, folder } = dictionary;
  const { hub, others } = dataOf(run.experiment);
  const quality = run.dictionaries.find((one) => one.model === model && one.layer === layer && one.F === F);
  const measured =
    quality === undefined
      ? ""
      : `. Explains ${(100 * quality.fve).toPrecision(3)} % of the variance with ${quality.l0.toPrecision(3)} features active at a token (L0), on ${quality.tokens} tokens`;
  return {
    id,
    modelId,
    setName: sourceSetName,
    hasDashboards: true,
    inferenceEnabled: false,
    saelensConfig: parseJson(await readTextFile(join(folder, "cfg.json"), "config")),
    hfRepoId: repository,
    hfFolderId: repository === null ? null : dictionaryPath(dictionary),
    num_tokens_in_prompt: run.experiment.examples.windowTokens,
    dataset: [...hub, ...others].join(", "),
    notes: `${whose(there, dictionary)}${measured}`,
  };
}
