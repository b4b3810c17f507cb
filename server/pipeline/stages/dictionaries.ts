import { z } from "zod";
import { loadModel } from "../../models/checkpoint.ts";
import { siteModuleOf } from "../../models/model.ts";
import { defaultSite, type Site } from "../../models/sites.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import type { Stage } from "../../runs/stage.ts";
import type { SaeConfig } from "../../sae/config.ts";
import { saveSae } from "../../sae/format.ts";
import { createSaeTrainer } from "../../sae/trainer.ts";
import { arrayFiles, readFloats } from "../artifacts/array-files.ts";
import { qualityFile, saeFolder } from "../artifacts/autoencoders.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { readJson, readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { withDevice } from "../artifacts/loading.ts";
import { analysisTexts, sourceText } from "../artifacts/texts.ts";
import { prefixOf, tokenIdsOf } from "../artifacts/token-ids.ts";

export interface DictionarySettings {
  /** What is encoded; the usual site if it is not said. */
  readonly site?: Site;
  /** Settings of the autoencoders, of which only the smallest multiple is trained. */
  readonly sae: SaeConfig;
  readonly prependBos: boolean;
  readonly modelName: string;
  /** The model's role for the stages that read the dictionaries. */
  readonly role: "base" | "tuned";
}

const stateSchema = z.object({ step: z.int(), random: z.tuple([z.number(), z.number(), z.number(), z.number()]) });

/**
 * Trains only the smallest dictionaries of one model, on the layers that a divergence chose, as in a run but without
 * measuring them: all that the probe reads. `collectStage` accepts this output in place of `autoencodersStage`'s.
 */
export const dictionariesStage: Stage<DictionarySettings, "tokenizer" | "model" | "texts" | "divergence"> = {
  name: "dictionaries",
  codeVersion: 2,
  run: async (context) => {
    const { settings, input, output, resumed, progress, stepDone, random } = context;
    const { site = defaultSite, sae, prependBos, role, modelName } = settings;
    await withDevice(context, async (device) => {
      const tokenizer = await loadTokenizer(input("tokenizer"));
      const model = await loadModel(device, input("model"));
      const { chosen } = await readJson(input("divergence"), divergenceFile, divergenceSchema);
      const texts = await readJsonLines(input("texts"), analysisTexts, sourceText);
      const trainer = await createSaeTrainer({
        device,
        models: [{ name: role, model }],
        layers: chosen,
        site,
        config: { ...sae, multiples: [Math.min(...sae.multiples)] },
        texts: tokenIdsOf(tokenizer, texts, { prependBos, bosId: model.config.bosId }),
        random,
      });
      if (resumed !== undefined)
        await trainer.restore({ ...stateSchema.parse(resumed.state), tensors: await readFloats(resumed) });
      for (let step = await trainer.step(); step !== undefined; step = await trainer.step()) {
        if (step.kind === "update") progress(step.step * sae.batchTokens, trainer.steps * sae.batchTokens, "tokens");
        await stepDone(async () => {
          const { tensors, ...state } = await trainer.state();
          return { state, files: arrayFiles(tensors) };
        });
      }
      const hasBos = prefixOf({ prependBos, bosId: model.config.bosId }).length > 0;
      const saes: { readonly model: string; readonly layer: number; readonly F: number }[] = [];
      for (const { id, layer } of trainer.saes) {
        const trained = await trainer.sae(id);
        const place = { layer, site };
        await saveSae(saeFolder(output, role, layer, trained.F), trained, {
          modelName,
          ...place,
          module: siteModuleOf(model.config, place),
          contextLength: sae.contextLength,
          prependBos: hasBos,
          dataset: null,
          extra: { lfp_model: role },
        });
        saes.push({ model: role, layer, F: trained.F });
      }
      await trainer.dispose();
      await writeJson(output, qualityFile, { trainingTokens: trainer.steps * sae.batchTokens, saes });
    });
  },
};
