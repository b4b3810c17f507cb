/** Whether a dictionary of others belongs to a model: its width, its place, and how well it reconstructs what it reads there. */

import { visibleLine } from "../../common/untrusted-text.ts";
import type { ModelConfig } from "../../models/architectures.ts";
import { finalNormOf, siteModuleOf } from "../../models/model.ts";
import { defaultSite, hookOf, type LayerSite, siteNames, siteOfHook, sites } from "../../models/sites.ts";
import type { SubjectModel } from "../activation-buffer.ts";
import { DictionaryFitError } from "../errors.ts";
import type { PlacedSae } from "../inference.ts";
import { centringItsInput, withUnitDecoder } from "../normal-form.ts";
import { measureSaes, type QualityOptions, type SaeQuality } from "../quality.ts";
import type { Sae } from "../sae.ts";
import type { DictionaryOrigin, ForeignDictionary } from "./origin.ts";

/** A dictionary that explains less than this share of the variance is taken for one of something else. */
const leastExplained = 0.1;
/** How many times more or fewer features than its makers measured may be active at a token. */
const mostL0Ratio = 4;

/**
 * The site that a dictionary encodes: as its files say, or as `given` where they say nothing. Throws `DictionaryFitError`
 * where they name another place, or contradict what is given, and for another width.
 */
export function placeOf(
  { sae, origin }: ForeignDictionary,
  config: ModelConfig,
  folder: string,
  given: Partial<LayerSite>,
): LayerSite {
  if (sae.D !== config.width)
    throw new DictionaryFitError(
      folder,
      `encodes ${sae.D} numbers a token; the model is ${config.width} wide${named(origin)}`,
    );
  const stated = statedPlace(origin, config, folder);
  for (const part of ["layer", "site"] as const) {
    const [own, asked] = [stated?.[part], given[part]];
    if (own !== undefined && asked !== undefined && own !== asked)
      throw new DictionaryFitError(
        folder,
        `encodes '${visibleLine(origin.site ?? "", 100)}', so ${part} ${own}, but ${part} ${asked} was asked for`,
      );
  }
  const { layer, site = defaultSite } = stated ?? given;
  if (layer === undefined)
    throw new DictionaryFitError(folder, "does not say which layer it encodes: name the layer that it was trained on");
  if (layer >= config.layers)
    throw new DictionaryFitError(
      folder,
      `encodes layer ${layer}; the model has layers 0 to ${config.layers - 1}${named(origin)}`,
    );
  return { layer, site };
}

function statedPlace({ site }: DictionaryOrigin, config: ModelConfig, folder: string): LayerSite | undefined {
  if (site === undefined) return undefined;
  const found = siteOfHook(site) ?? placeOfModule(site.replace(/\.output$/, ""), config);
  if (found !== undefined) return found;
  const names = siteNames.map((own) => {
    const first = { layer: 0, site: own };
    return `the ${sites[own].inWords} (in this model the output of ${siteModuleOf(config, first)}, in TransformerLens ${hookOf(first)})`;
  });
  throw new DictionaryFitError(
    folder,
    `encodes '${visibleLine(site, 100)}'; LFP Lens reads dictionaries of ${names.join(" and of ")}, and so in other layers`,
  );
}

/** The site of a module, named as a whole or by its last parts, or as in dictionary_learning's scripts. */
function placeOfModule(module: string, config: ModelConfig): LayerSite | undefined {
  const [, layer] = /^resid_post_layer_(\d{1,4})$/.exec(module) ?? [];
  if (layer !== undefined) return { layer: Number(layer), site: "residual" };
  const places = Array.from({ length: config.layers }, (_, layer) => siteNames.map((site) => ({ layer, site }))).flat();
  return places.find((place) => `.${siteModuleOf(config, place)}`.endsWith(`.${module}`));
}

/**
 * A dictionary as it is applied to a model: with decoder rows of length one, and reading activations of any mean. The
 * mean over the width, which TransformerLens takes from the activations of models with LayerNorm alone, stays
 * unexplained.
 */
export function saeFor({ sae, origin }: ForeignDictionary, config: ModelConfig): Sae {
  const isCentred = origin.isCentred === true && finalNormOf(config).centres;
  return withUnitDecoder(isCentred ? centringItsInput(sae) : sae);
}

/** What to check a dictionary on; it is on the device already, as it is read through two models. */
export interface FitOptions extends Omit<QualityOptions, "saes" | "skip" | "known" | "onBatch"> {
  readonly placed: PlacedSae;
}

/**
 * Measures a dictionary on texts of the model and refuses one that does not fit. Throws `DictionaryFitError` with the share of
 * variance that it leaves unexplained (FVU) and the number of active features (L0).
 */
export async function checkFit(
  { sae, origin }: ForeignDictionary,
  place: LayerSite,
  folder: string,
  { placed, ...options }: FitOptions,
): Promise<SaeQuality> {
  const [quality] = await measureSaes({ ...options, saes: [{ id: "foreign", ...place, sae, placed }], skip: 1 });
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
