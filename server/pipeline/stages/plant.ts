/** Planted divergences: which words may be planted, which words a set has, and a tuning on the edited reward. */

import { type Candidate, plantedSet, TooFewWordsError } from "../../calibration/planting.ts";
import { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { readConfig } from "../../models/config.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import type { RewardEdit } from "../../rewards/edits.ts";
import type { Reward } from "../../rewards/reward.ts";
import type { Stage } from "../../runs/stage.ts";
import { tuners } from "../../tuning/tuners.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { candidatesFile, candidatesSchema, plantedFile, plantedSchema, readPlanted } from "../artifacts/planted.ts";
import { rewardOf } from "../feedback.ts";
import { type ReadingSettings, readLearnedTexts } from "./learned-texts.ts";
import { type TuneSettings, tuneModel, tuningTextsOf } from "./tune.ts";

export interface CandidateSettings extends ReadingSettings {
  readonly minPlaces: number;
  /** Number of words of a set; there must be twice as many candidates. */
  readonly wordsPerSet: number;
  /** Number of tokens that the tuning samples, and the minimum expected count of a word among them. */
  readonly sampledTokens: number;
  readonly met: number;
}

/**
 * The rated words that are frequent enough in the texts: for a reliable mean, and for tuning to sample them. Tuning
 * cannot have learned another rating for a word that it hardly sampled, so that word says nothing about readings.
 */
export const candidatesStage: Stage<CandidateSettings, "model" | "texts"> = {
  name: "candidates",
  codeVersion: 1,
  run: async ({ settings, input, output, progress }) => {
    const tokenizer = await loadTokenizer(input("model"));
    const { config } = await readConfig(input("model"));
    const texts = await readLearnedTexts(input("texts"), settings, { tokenizer, models: [config] });
    const found = new Map<string, Candidate>();
    for (const { word, rating } of texts.flatMap(({ places }) => places))
      found.set(word, { word, rating, places: (found.get(word)?.places ?? 0) + 1 });
    const { wordsPerSet, sampledTokens, met } = settings;
    const read = texts.reduce((sum, { ids }) => sum + Math.max(0, ids.length - 1), 0);
    const forTuning = sampledTokens === 0 ? 0 : Math.ceil((met * read) / sampledTokens);
    const minPlaces = Math.max(settings.minPlaces, forTuning);
    const words = [...found.values()].filter(({ places, rating }) => places >= minPlaces && rating !== 0);
    if (words.length < 2 * wordsPerSet) throw new TooFewWordsError(words.length, wordsPerSet, minPlaces);
    await writeJson(output, candidatesFile, candidatesSchema.parse({ minPlaces, words }));
    progress(texts.length, texts.length, "texts");
  },
};

export interface PlantSettings {
  /** Index of the set, from 0. */
  readonly set: number;
  readonly wordsPerSet: number;
  /** Factor of the words' ratings: -1 flips them, 1 leaves them unchanged. */
  readonly factor: number;
  /** Seed of the draw; the same for all sets. */
  readonly seed: number;
}

/** Draws the words of one set. */
export const plantStage: Stage<PlantSettings, "candidates"> = {
  name: "plant",
  codeVersion: 1,
  run: async ({ settings, input, output, progress }) => {
    const { set: index, wordsPerSet: size, factor, seed } = settings;
    const { minPlaces, words: candidates } = await readJson(input("candidates"), candidatesFile, candidatesSchema);
    const words = plantedSet(candidates, { index, size, minPlaces }, Random.fromSeed(seed).fork("planted words"));
    await writeJson(output, plantedFile, plantedSchema.parse({ factor, words }));
    progress(words.length, words.length, "words");
  },
};

/** `tuneStage` with the reward that a planted set edits. */
export const plantedTuneStage: Stage<TuneSettings, "model" | "texts" | "planted"> = {
  name: "tune",
  codeVersion: 2,
  run: async (context) => {
    const { factor, words } = await readPlanted(context.input("planted"));
    const edits = words.map(({ word }): RewardEdit => ({ word, factor }));
    const { judged, reward } = context.settings;
    const open = (device: Device): Promise<Reward> => rewardOf({ ...reward, edits }, judged, device);
    await tuneModel(context, open, tuners, await tuningTextsOf(context.input("texts")));
  },
};
