import type { Device } from "../../engine/device.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { preferenceLoss } from "../../tuning/preference-loss.ts";
import type { PreferenceSettings } from "../../tuning/preference-settings.ts";
import { pairTokens } from "../../tuning/preference-tokens.ts";
import { scorePairs } from "../../tuning/score-pairs.ts";
import { readJsonLines } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer } from "../artifacts/loading.ts";
import { heldOutPairs, readPairs } from "../artifacts/pairs.ts";
import { heldOutTexts, sourceText } from "../artifacts/texts.ts";
import { tokenIdsOf } from "../artifacts/token-ids.ts";
import { type DictionaryPlace, placeDictionaries, placeOfDictionary } from "./dictionaries.ts";
import { MarginMeter } from "./pair-margins.ts";
import type { AblationSubject } from "./subject.ts";

/** Folders of a run's outputs and of its models. */
export interface PairAblationPaths {
  readonly model: string;
  readonly tuned: string;
  readonly texts: string;
  readonly saes: string;
}

export interface PairAblationSettings {
  /** How pairs are read and scored. */
  readonly preference: PreferenceSettings;
  readonly prependBos: boolean;
  readonly contextLength: number;
  /** Maximum number of held-out pairs. */
  readonly pairs: number;
  readonly pairsAtOnce: number;
}

/** Maximum number of texts, enough for intervals that are narrow relative to the effects. */
const lossTexts = 32;

/**
 * Loads the subject of an ablation of dictionaries of these sizes onto a device. The effect is the margin of held-out
 * pairs; preference accuracy and the tuning's loss follow from it.
 */
export async function openPairAblation(
  device: Device,
  paths: PairAblationPaths,
  { preference, prependBos, contextLength, pairs: most, pairsAtOnce }: PairAblationSettings,
  sizes: ReadonlySet<DictionaryPlace["size"]>,
): Promise<AblationSubject> {
  const { model, tokenizer } = await loadModelAndTokenizer(device, paths.tuned, paths.model);
  const base = await loadModel(device, paths.model, { prefix: "base/" });
  const { bosId, contextLength: longest } = model.config;
  const texts = await readJsonLines(paths.texts, heldOutTexts, sourceText);
  const records = (await readPairs(paths.texts, heldOutPairs)).slice(0, most);
  const read = records.flatMap(({ group, ...record }) => {
    const made = pairTokens(record, tokenizer, preference.tokens);
    return made.kind === "pair" ? [{ group, pair: made.pair }] : [];
  });
  const pairs = read.map(({ pair }) => pair);
  const reference = await scorePairs(device, base, pairs, { pairsAtOnce });
  const parts = { device, pairs, reference, pairsAtOnce };
  const dictionaries = await placeDictionaries(device, paths.saes);
  return {
    device,
    model,
    base,
    dictionaries: dictionaries.filter(({ name }) => sizes.has(placeOfDictionary(name).size)),
    texts: tokenIdsOf(tokenizer, texts.slice(0, lossTexts), { prependBos, bosId }),
    contextTokens: Math.min(contextLength, longest),
    effect: {
      measure: "margin",
      groups: read.map(({ group }) => group),
      derived: {
        accuracy: (margin) => Number(margin > 0),
        ...(preference.loss.kind === "ipo" ? {} : { preferenceLoss: (margin: number) => lossOf(margin, preference) }),
      },
    },
    meterOf: (own, edit) => MarginMeter.create(parts, own, edit),
    separations: undefined,
  };
}

/** The loss of a pair with this margin; IPO's depends on the answers' lengths as well. */
function lossOf(margin: number, preference: PreferenceSettings): number {
  const none = { chosen: 0, rejected: 0 };
  return preferenceLoss({ policy: { chosen: margin, rejected: 0 }, reference: none, lengths: none }, preference);
}
