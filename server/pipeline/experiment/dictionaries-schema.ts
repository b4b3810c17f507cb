/** The dictionaries of a run: how they are trained, or where one that someone else trained lies. */
import { z } from "zod";
import { type SaeConfig, saeConfigSchema } from "../../sae/config.ts";

export const dictionariesSchema = saeConfigSchema.extend({
  source: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "Folder of a dictionary that someone else trained on the MLP's output of a layer (SAELens, Gemma Scope, sparsify, dictionary_learning): both " +
        "models are read through it, and none is trained. divergence.layers must name its layer, as in [3]. null: train them.",
    ),
});

type Dictionaries = Readonly<z.output<typeof dictionariesSchema>>;

/** The settings of training. */
export function trainingOf({ source: _, ...training }: Dictionaries): SaeConfig {
  return training;
}

/** The settings as digests have them: without `source` where there is none, as before the field existed. */
export function keyedDictionaries(dictionaries: Dictionaries): object {
  return dictionaries.source === null ? trainingOf(dictionaries) : dictionaries;
}
