/** A dictionary that someone else trained, on the device of two models that are read through it. */
import { join } from "node:path";
import { starterFolder } from "../../common/package-root.ts";
import type { Device } from "../../engine/device.ts";
import type { LensDictionary } from "../../lens/subject.ts";
import type { OpenedPair } from "../../models/pair.ts";
import { type LayerSite, sites } from "../../models/sites.ts";
import { openDictionary } from "../../sae/foreign/dictionary.ts";
import { checkFit, placeOf, saeFor } from "../../sae/foreign/fit.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import { readTexts } from "../data/texts.ts";

/** A dictionary's folder, and what it encodes where its files do not say. */
export interface DictionaryReference extends Partial<LayerSite> {
  readonly folder: string;
}

/** Enough to tell a dictionary of another model, layer or site. */
const checkedTexts = 16;
const checkedTokens = 128;

/**
 * Opens a dictionary for both models and checks it on texts that come with the package: its width, its site and what it
 * explains in either. Tells `note` the numbers. Throws `DictionaryFitError` with them, and what `openDictionary` throws.
 */
export async function openPairDictionary(
  device: Device,
  { pair, tokenizer }: OpenedPair,
  prefixIds: readonly number[],
  { folder, ...given }: DictionaryReference,
  note: (line: string) => void,
): Promise<LensDictionary> {
  const found = await openDictionary(folder);
  const place = placeOf(found, pair.tuned.config, folder, given);
  const sae = saeFor(found, pair.tuned.config);
  const reviews = await readTexts(join(starterFolder(), "reviews.jsonl"), { field: "text", limit: checkedTexts });
  const texts = reviews.map(({ text }) => {
    const { ids } = tokenizer.encode(text, { addSpecialTokens: false });
    return Int32Array.from([...prefixIds, ...ids]);
  });
  const { inWords } = sites[place.site];
  const placed = await placeSae(device, "dictionary", sae);
  for (const name of ["tuned", "base"] as const) {
    const model = pair[name];
    const contextLength = Math.min(checkedTokens, model.config.contextLength);
    const options = { device, model: { name, model }, texts, contextLength, placed };
    const { fve, l0, lossRecovered } = await checkFit({ ...found, sae }, place, folder, options);
    const recovered = lossRecovered === null ? "" : `, and recovers ${lossRecovered.toFixed(3)} of the loss`;
    note(
      `the dictionary of the ${inWords} of layer ${place.layer} explains ${fve.toFixed(3)} of the variance in the ${name} model with ${l0.toFixed(1)} of ${sae.F} features active${recovered}`,
    );
  }
  const { store, nodes } = placed;
  return { ...place, features: sae.F, store, encode: (x) => encodeNode(x, nodes), decoder: nodes.decoder };
}
