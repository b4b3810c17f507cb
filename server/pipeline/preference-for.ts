import { readConfig } from "../models/config.ts";
import type { PreferenceSettings } from "../tuning/preference-settings.ts";
import { type Experiment, preferenceOfTuning, tuningOf } from "./experiment/schema.ts";

/** How pairs are scored; of a model that was tuned elsewhere, as many tokens as the model's context holds. */
export async function preferenceFor(experiment: Experiment, modelFolder: string): Promise<PreferenceSettings> {
  const preference = preferenceOfTuning(experiment);
  if (tuningOf(experiment) !== undefined) return preference;
  const { config } = await readConfig(modelFolder);
  const maxTokens = Math.min(preference.tokens.maxTokens, config.contextLength);
  return { ...preference, tokens: { ...preference.tokens, maxTokens } };
}

/** Pairs on the device at once where they are measured: a pair is two completions. */
export function pairsAtOnceOf({ sampling }: Pick<Experiment, "sampling">): number {
  return Math.max(1, Math.floor(sampling.scoredRows / 2));
}
