/** The analysis texts for the learned lexicon, tokenised for both models: their ids and the places of rated words. */

import type { LearnedText } from "../../learned/collect.ts";
import { type RatedWord, wordPlaces } from "../../learned/places.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";
import { readJsonLines } from "../artifacts/json-files.ts";
import { analysisTexts, type SourceText, sourceText } from "../artifacts/texts.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { needRatings, type RewardSettings } from "../feedback.ts";

export interface ReadingSettings {
  readonly reward: RewardSettings;
  /** Maximum number of texts, and of tokens of each, including the prefix. */
  readonly texts: number;
  readonly tokens: number;
  readonly prependBos: boolean;
}

interface Reader {
  readonly tokenizer: Tokenizer;
  /** The first is the base model. */
  readonly models: readonly { readonly bosId: number | undefined; readonly contextLength: number }[];
}

/**
 * Reads and tokenises texts from the output of the stage `prepare`. Throws `NoWordRatingsError` if the feedback rates
 * no words.
 */
export async function readLearnedTexts(
  folder: string,
  settings: ReadingSettings,
  { tokenizer, models }: Reader,
): Promise<LearnedText[]> {
  const texts = (await readJsonLines(folder, analysisTexts, sourceText)).slice(0, settings.texts);
  const tokens = Math.min(settings.tokens, ...models.map(({ contextLength }) => contextLength));
  const prefix = prefixOf({ prependBos: settings.prependBos, bosId: models[0]?.bosId });
  const ratings = needRatings(settings.reward, "the learned lexicon");
  return texts.map((text) => learnedText(text, { tokenizer, ratings, prefix, tokens }));
}

interface ReadOptions {
  readonly tokenizer: Tokenizer;
  readonly ratings: WordRatings;
  readonly prefix: readonly number[];
  readonly tokens: number;
}

function learnedText({ text }: SourceText, { tokenizer, ratings, prefix, tokens }: ReadOptions): LearnedText {
  const { ids, ranges } = tokenizer.encode(text, { addSpecialTokens: false });
  const read = Math.min(ids.length, tokens - prefix.length);
  return {
    ids: Int32Array.from([...prefix, ...ids.subarray(0, read)]),
    places: wordPlaces(ratedWords(ratings, text), ranges, { prefix: prefix.length, tokens: read }),
  };
}

/** The words of a text that the feedback rates, in lower case. */
function ratedWords(ratings: WordRatings, text: string): RatedWord[] {
  return ratings.rated(text).map((token) => ({
    word: token.text.toLowerCase(),
    rating: token.valence,
    start: token.start,
    end: token.end,
  }));
}
