/** Whether a dictionary of others belongs to a model: its width, its place, and how well it reconstructs what it reads there. */

import { visibleLine } from "../../common/untrusted-text.ts";
import type { ModelConfig } from "../../models/architectures.ts";
import { mlpModuleOf } from "../../models/model.ts";
import type { SubjectModel } from "../activation-buffer.ts";
import { DictionaryFitError } from "../errors.ts";
import { measureSaes, type QualityOptions, type SaeQuality } from "../quality.ts";
import type { DictionaryOrigin, ForeignDictionary } from "./origin.ts";

/** A dictionary that explains less than this share of the variance is taken for one of something else. */
const leastExplained = 0.1;
/** How many times more or fewer features than its makers measured may be active at a token. */
const mostL0Ratio = 4;

/**
 * The layer whose MLP output a dictionary encodes: as its files say, or `given` where they say nothing. Throws
 * `DictionaryFitError` where they name another place, or contradict `given`, and for another width.
 */
export function layerOf(
  { sae, origin }: ForeignDictionary,
  config: ModelConfig,
  folder: string,
  given: number | undefined,
): number {
  if (sae.D !== config.width)
    throw new DictionaryFitError(
      folder,
      `encodes ${sae.D} numbers a token; the model is ${config.width} wide${named(origin)}`,
    );
  const stated = statedLayer(origin, config, folder);
  if (stated !== undefined && given !== undefined && stated !== given)
    throw new DictionaryFitError(
      folder,
      `encodes '${visibleLine(origin.site ?? "", 100)}', so layer ${stated}, but layer ${given} was asked for`,
    );
  const layer = stated ?? given;
  if (layer === undefined)
    throw new DictionaryFitError(
      folder,
      "does not say which layer it encodes: name the layer whose MLP output it was trained on",
    );
  if (layer >= config.layers)
    throw new DictionaryFitError(
      folder,
      `encodes layer ${layer}; the model has layers 0 to ${config.layers - 1}${named(origin)}`,
    );
  return layer;
}

function statedLayer({ site }: DictionaryOrigin, config: ModelConfig, folder: string): number | undefined {
  if (site === undefined) return undefined;
  const [, ofHook] = /^blocks\.(\d{1,4})\.hook_mlp_out$/.exec(site) ?? [];
  if (ofHook !== undefined) return Number(ofHook);
  const module = site.replace(/\.output$/, "");
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const found = layers.find((layer) => `.${mlpModuleOf(config, layer)}`.endsWith(`.${module}`));
  if (found !== undefined) return found;
  throw new DictionaryFitError(
    folder,
    `encodes '${visibleLine(site, 100)}'; LFP Lens reads dictionaries of what an MLP adds to the residual stream: in this model the output of ${mlpModuleOf(config, 0)}, ` +
      "in TransformerLens blocks.0.hook_mlp_out, and so in its other layers",
  );
}

/**
 * Measures a dictionary on texts of the model and refuses one that does not fit. Throws `DictionaryFitError` with the share of
 * variance that it leaves unexplained (FVU) and the number of active features (L0).
 */
export async function checkFit(
  { sae, origin }: ForeignDictionary,
  layer: number,
  folder: string,
  options: Omit<QualityOptions, "saes" | "known" | "onBatch">,
): Promise<SaeQuality> {
  const [quality] = await measureSaes({ ...options, saes: [{ id: "foreign", layer, sae }] });
  if (quality === undefined) throw new TypeError("one dictionary was measured");
  const problem = problemOf(quality, origin, sae.F, options.model);
  if (problem !== undefined) throw new DictionaryFitError(folder, problem);
  return quality;
}

function problemOf(
  { fve, l0, tokens }: SaeQuality,
  origin: DictionaryOrigin,
  F: number,
  { name }: SubjectModel,
): string | undefined {
  const measured = `on ${tokens} tokens of the ${name} model it leaves ${(1 - fve).toPrecision(3)} of the variance unexplained (FVU), with ${l0.toPrecision(3)} of ${F} features active at a token (L0)`;
  const advice = `${named(origin)}. It may belong to another model, layer or place, or be of another kind than its files say`;
  if (!(fve >= leastExplained))
    return `does not fit: ${measured}; expected an FVU of at most ${1 - leastExplained}${advice}`;
  const { l0: stated } = origin;
  if (stated === undefined || (l0 <= mostL0Ratio * stated && l0 >= stated / mostL0Ratio)) return undefined;
  return `does not fit: ${measured}; its files say an L0 of ${stated}${advice}`;
}

/** The model that the files name, for a message. */
function named({ modelName }: DictionaryOrigin): string {
  return modelName === undefined ? "" : `; its files name the model '${visibleLine(modelName, 100)}'`;
}
