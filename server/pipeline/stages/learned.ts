import { z } from "zod";
import type { Device } from "../../engine/device.ts";
import { LearnedCollection, type LearnedPlaces, type LearnedText } from "../../learned/collect.ts";
import { learnedLexicon } from "../../learned/lexicon.ts";
import { type RatedWord, wordPlaces } from "../../learned/places.ts";
import { learnedSchema } from "../../learned/report-types.ts";
import { loadModel } from "../../models/checkpoint.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { RewardFunction } from "../../rewards/reward.ts";
import type { CheckpointContent, Stage, StageContext } from "../stage.ts";
import { arrayFiles, readDoubles } from "./array-files.ts";
import {
  analysisTexts,
  loadModelAndTokenizer,
  readJsonLines,
  type SourceText,
  sourceText,
  withDevice,
  writeJson,
} from "./common.ts";
import { prefixOf } from "./token-ids.ts";
import { type RewardSettings, rewardOf } from "./tune.ts";

export interface LearnedStageSettings {
  readonly reward: RewardSettings;
  /** The most texts, and the most tokens of each, what stands before it among them. */
  readonly texts: number;
  readonly tokens: number;
  readonly minPlaces: number;
  readonly prependBos: boolean;
}

/** File of the `learned` stage. */
export const learnedFile = "learned.json";

/** Bootstrap draws behind each interval. */
const resamples = 1000;

type Context = StageContext<LearnedStageSettings, "model" | "tuned" | "texts">;

/** What tuning made likelier, at every rated word of the analysis texts. */
export const learnedStage: Stage<LearnedStageSettings, "model" | "tuned" | "texts"> = {
  name: "learned",
  codeVersion: 1,
  run: async (context) => {
    await withDevice(context, async (device) => {
      const found = await collect(device, context);
      const settings = { minPlaces: context.settings.minPlaces, resamples };
      await writeJson(
        context.output,
        learnedFile,
        learnedSchema.parse(learnedLexicon(found, settings, context.random)),
      );
    });
  },
};

async function collect(device: Device, context: Context): Promise<LearnedPlaces> {
  const { settings, input, resumed, progress, stepDone } = context;
  const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
  const tuned = await loadModel(device, input("tuned"), { prefix: "tuned." });
  const texts = (await readJsonLines(input("texts"), analysisTexts, sourceText)).slice(0, settings.texts);
  const tokens = Math.min(settings.tokens, base.config.contextLength, tuned.config.contextLength);
  const prefix = prefixOf({ prependBos: settings.prependBos, bosId: base.config.bosId });
  const reward = rewardOf(settings.reward);
  const collection = new LearnedCollection(
    texts.map((text) => learnedText(text, { tokenizer, reward, prefix, tokens })),
    { device, pair: { tuned, base } },
  );
  if (resumed !== undefined)
    collection.restore(z.object({ done: z.int() }).parse(resumed.state).done, await readDoubles(resumed));
  const capture = (): CheckpointContent => ({
    state: { done: collection.done },
    files: arrayFiles(collection.captured()),
  });
  while (await collection.step()) {
    progress(collection.doneTexts, collection.texts, "texts");
    await stepDone(capture);
  }
  return await collection.finish();
}

interface ReadOptions {
  readonly tokenizer: Tokenizer;
  readonly reward: RewardFunction;
  readonly prefix: readonly number[];
  readonly tokens: number;
}

function learnedText({ text }: SourceText, { tokenizer, reward, prefix, tokens }: ReadOptions): LearnedText {
  const { ids, ranges } = tokenizer.encode(text, { addSpecialTokens: false });
  const read = Math.min(ids.length, tokens - prefix.length);
  return {
    ids: Int32Array.from([...prefix, ...ids.subarray(0, read)]),
    places: wordPlaces(ratedWords(reward, text), ranges, { prefix: prefix.length, tokens: read }),
  };
}

/** The words of a text that the feedback rates, in lower case. */
function ratedWords(reward: RewardFunction, text: string): RatedWord[] {
  return reward.score(text).tokens.map((token) => ({
    word: token.text.toLowerCase(),
    rating: token.valence,
    start: token.start,
    end: token.end,
  }));
}
