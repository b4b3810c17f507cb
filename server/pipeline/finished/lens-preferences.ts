/** How the lens reads preference pairs: by the rule of the run's own tuning, where that learned from pairs. */
import { type PreferenceReader, preferenceReader } from "../../lens/preference-reader.ts";
import { loadChatTemplate } from "../../models/chat-template.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { MessageWriter } from "../../tasks/pairs/messages.ts";
import { answerRuleOf } from "../../tuning/preference-tokens.ts";
import { factsOfTuning } from "../../tuning/tunings.ts";
import { type Experiment, tuningOf } from "../experiment/schema.ts";

/** DPO's beta; null for a run whose tuning scores no pairs. */
export function betaOfRun(experiment: Experiment): number | null {
  const tuning = tuningOf(experiment);
  return tuning === undefined ? null : (factsOfTuning(tuning).preference?.beta ?? null);
}

export interface RunReaderOptions {
  readonly tokenizer: Tokenizer;
  /** Folders of which the first with a chat template gives it. */
  readonly folders: readonly string[];
  /** Token ids before the run's texts. */
  readonly prefixIds: readonly number[];
  readonly contextLength: number;
}

/** The reader of a run. Where its tuning sampled answers, no token ended them, and they stood after the run's own prefix. */
export async function preferencesOfRun(
  experiment: Experiment,
  { tokenizer, folders, prefixIds, contextLength }: RunReaderOptions,
): Promise<PreferenceReader> {
  const template = await messageWriterOf(...folders);
  const tuning = tuningOf(experiment);
  const facts = tuning === undefined ? undefined : factsOfTuning(tuning);
  const tokens = facts?.learnsFrom === "pairs" ? facts.preference?.tokens : undefined;
  if (tokens === undefined) return preferenceReader({ prefixIds, contextLength, end: "", template });
  const rule = answerRuleOf(tokens, tokenizer);
  return { rule: { ...rule, maxTokens: Math.min(rule.maxTokens, contextLength) }, template };
}

/**
 * The chat template of the first of these folders that has one; undefined where none has. Its rendering throws what
 * reading the file threw.
 */
export async function messageWriterOf(...folders: readonly string[]): Promise<MessageWriter | undefined> {
  try {
    for (const folder of folders) {
      const template = await loadChatTemplate(folder);
      if (template !== undefined) return template;
    }
    return undefined;
  } catch (error) {
    // Only messages need a template, so that only they fail.
    return {
      render: () => {
        throw error;
      },
    };
  }
}

/** The tokens that the tokenizer itself puts before a text. */
export function prefixOfTokenizer(tokenizer: Tokenizer): number[] {
  const { ids, ranges } = tokenizer.encode("a", { addSpecialTokens: true });
  return [...ids].slice(
    0,
    ranges.findIndex(({ end }) => end > 0),
  );
}
