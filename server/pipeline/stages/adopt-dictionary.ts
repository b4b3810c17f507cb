import { loadModel } from "../../models/checkpoint.ts";
import { siteModuleOf } from "../../models/model.ts";
import { defaultSite, type LayerSite, type Site } from "../../models/sites.ts";
import type { Stage } from "../../runs/stage.ts";
import { DictionaryFitError } from "../../sae/errors.ts";
import { openDictionary } from "../../sae/foreign/dictionary.ts";
import { checkFit, placeOf, saeFor } from "../../sae/foreign/fit.ts";
import type { ForeignDictionary } from "../../sae/foreign/origin.ts";
import { saveSae } from "../../sae/format.ts";
import { placeSae } from "../../sae/inference.ts";
import { type Autoencoders, qualityFile, qualitySchema, saeFolder } from "../artifacts/autoencoders.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { readJson, readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { analysisTexts, sourceText } from "../artifacts/texts.ts";
import { prefixOf, tokenIdsOf } from "../artifacts/token-ids.ts";

export interface AdoptSettings {
  /** What the dictionary encodes; the usual site if it is not said. */
  readonly site?: Site;
  readonly contextLength: number;
  readonly prependBos: boolean;
  /** The model's name in the files. */
  readonly modelName: string;
  /** Number of texts for measuring quality. */
  readonly qualityTexts: number;
}

/**
 * Takes a dictionary that someone else trained for both models, in place of training: its output is that of the stage
 * `autoencoders`. Refuses one that does not fit either model.
 */
export const adoptDictionaryStage: Stage<AdoptSettings, "model" | "tuned" | "texts" | "divergence" | "dictionary"> = {
  name: "adopt-dictionary",
  codeVersion: 4,
  run: async (context) => {
    const { input, output, settings } = context;
    await withDevice(context, async (device) => {
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
      const tuned = await loadModel(device, input("tuned"));
      const folder = input("dictionary");
      const found = await openDictionary(folder);
      const { chosen } = await readJson(input("divergence"), divergenceFile, divergenceSchema);
      const place = placeIn(found, base, folder, { layers: chosen, site: settings.site ?? defaultSite });
      const { layer } = place;
      const texts = await readJsonLines(input("texts"), analysisTexts, sourceText);
      const { prependBos, contextLength, modelName } = settings;
      const bos = { prependBos, bosId: base.config.bosId };
      const held = tokenIdsOf(tokenizer, texts.slice(0, settings.qualityTexts), bos);
      const sae = saeFor(found, base.config);
      const placed = await placeSae(device, "dictionary", sae);
      const saes: Autoencoders["saes"] = [];
      for (const [name, model] of [
        ["base", base],
        ["tuned", tuned],
      ] as const) {
        const measured = { device, model: { name, model }, texts: held, contextLength, placed };
        const { density: _, ...quality } = await checkFit({ ...found, sae }, place, folder, measured);
        await saveSae(saeFolder(output, name, layer, sae.F), sae, {
          modelName: found.origin.modelName ?? modelName,
          ...place,
          module: siteModuleOf(model.config, place),
          contextLength,
          prependBos: prefixOf(bos).length > 0,
          dataset: null,
          extra: { lfp_model: name, lfp_source_format: found.origin.format },
        });
        saes.push(
          qualitySchema.parse({ ...quality, id: `${name}/${layer}/${sae.F}`, model: name, layer, F: sae.F, D: sae.D }),
        );
      }
      await writeJson(output, qualityFile, { trainingTokens: 0, steps: 0, saes, similarities: [] });
    });
  },
};

/** The dictionary's site, whose layer must be the one that the run studies. Throws `DictionaryFitError`. */
function placeIn(
  found: ForeignDictionary,
  { config }: Awaited<ReturnType<typeof loadModel>>,
  folder: string,
  { layers, site }: { readonly layers: readonly number[]; readonly site: Site },
): LayerSite {
  const [only] = layers;
  if (layers.length !== 1 || only === undefined)
    throw new DictionaryFitError(
      folder,
      `is of one layer, but the run studies ${layers.join(", ")}: name its layer as divergence.layers`,
    );
  return placeOf(found, config, folder, { layer: only, site });
}
