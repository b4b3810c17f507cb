/** The dictionaries of a run: what they encode, how they are trained, or where one that someone else trained lies. */
import { z } from "zod";
import { defaultSite, type Site, siteNames } from "../../models/sites.ts";
import { type SaeConfig, saeConfigSchema } from "../../sae/config.ts";

export const dictionariesSchema = saeConfigSchema.extend({
  site: z
    .enum(siteNames)
    .default(defaultSite)
    .describe(
      "The activations that are encoded: mlp-output is what the MLP of a layer adds to the residual stream, as in the paper; residual is the residual stream " +
        "after the layer.",
    ),
  source: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "Folder of a dictionary that someone else trained on a layer's activations (SAELens, Gemma Scope, sparsify, dictionary_learning): both " +
        "models are read through it, and none is trained. divergence.layers must name its layer, as in [3], and site what it encodes. null: train them.",
    ),
});

type Dictionaries = Readonly<z.output<typeof dictionariesSchema>>;

/** The settings of training. */
export function trainingOf({ source: _, site: __, ...training }: Dictionaries): SaeConfig {
  return training;
}

/** The site as a stage's setting: nothing where it is the usual one, as before there were others. */
export function siteSettingOf({ site }: Pick<Dictionaries, "site">): { readonly site?: Site } {
  return site === defaultSite ? {} : { site };
}

/** The settings as digests have them: without `source` and `site` where these say nothing, as before they existed. */
export function keyedDictionaries({ source, site, ...training }: Dictionaries): object {
  return { ...training, ...(source === null ? {} : { source }), ...siteSettingOf({ site }) };
}
