import { join } from "node:path";
import type { z } from "zod";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import type { Device } from "../../engine/device.ts";
import { LearnedCollection, type LearnedPlaces } from "../../learned/collect.ts";
import { learnedLexicon } from "../../learned/lexicon.ts";
import { learnedSchema } from "../../learned/report-types.ts";
import { loadModel } from "../../models/checkpoint.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { readDoubles } from "../artifacts/array-files.ts";
import { collectAll } from "../artifacts/collecting.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { learnedFile, placesFile, type placesSchema } from "../artifacts/learned.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { type ReadingSettings, readLearnedTexts } from "./learned-texts.ts";

export interface LearnedStageSettings extends ReadingSettings {
  readonly minPlaces: number;
  /**
   * Reads only the pieces of rated words, without the divergence, and keeps every place: for calibrations. Absent
   * otherwise.
   */
  readonly onlyPlaces?: true;
}

/** Bootstrap resamples for each interval. */
const resamples = 1000;

type Context = StageContext<LearnedStageSettings, "model" | "tuned" | "texts">;

/** Measures what tuning made likelier, at every rated word of the analysis texts. */
export const learnedStage: Stage<LearnedStageSettings, "model" | "tuned" | "texts"> = {
  name: "learned",
  codeVersion: 1,
  run: async (context) => {
    await withDevice(context, async (device) => {
      const found = await collect(device, context);
      const settings = { minPlaces: context.settings.minPlaces, resamples };
      if (context.settings.onlyPlaces === true) await writePlaces(context.output, found);
      await writeJson(
        context.output,
        learnedFile,
        learnedSchema.parse(await learnedLexicon(found, settings, context.random, context.signal)),
      );
    });
  },
};

async function collect(device: Device, context: Context): Promise<LearnedPlaces> {
  const { settings, input } = context;
  const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
  const tuned = await loadModel(device, input("tuned"), { prefix: "tuned." });
  const texts = await readLearnedTexts(input("texts"), settings, { tokenizer, models: [base.config, tuned.config] });
  const collection = new LearnedCollection(texts, { device, pair: { tuned, base }, kl: settings.onlyPlaces !== true });
  return await collectAll(collection, context, readDoubles);
}

async function writePlaces(folder: string, { words, word, logRatio }: LearnedPlaces): Promise<void> {
  const places: z.infer<typeof placesSchema> = { words: [...words], word: [...word], logRatio: [...logRatio] };
  await writeFileAtomically(join(folder, placesFile), `${JSON.stringify(places)}\n`);
}
