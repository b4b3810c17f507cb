import type { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { loadProbe } from "../../probe/format.ts";
import type { PpoConfig } from "../../tuning/ppo-config.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import { heldOutTexts, loadModelAndTokenizer, readJsonLines, sourceText } from "../stages/common.ts";
import { prefixOf, tokenIdsOf } from "../stages/token-ids.ts";
import { readTriples } from "../stages/triples.ts";
import { type RewardSettings, rewardOf } from "../stages/tune.ts";
import { placeDictionaries } from "./dictionaries.ts";
import type { AblationSubject } from "./measure.ts";

/** Folders of what a run made, and of its models. */
export interface AblationPaths {
  readonly model: string;
  readonly tuned: string;
  readonly texts: string;
  readonly saes: string;
  readonly probe: string;
  readonly triples: string;
}

export interface AblationSettings {
  readonly ppo: PpoConfig;
  readonly reward: RewardSettings;
  readonly contextLength: number;
  /** At most. */
  readonly prompts: number;
}

/** At most so many, which are enough for the intervals to be narrow beside the effects. */
const lossTexts = 96;
const separatedTriples = 96;

/** Loads what an ablation needs onto a device. `random` draws the prompts' lengths. */
export async function openAblation(
  device: Device,
  paths: AblationPaths,
  { ppo, reward, contextLength, prompts }: AblationSettings,
  random: Random,
): Promise<AblationSubject> {
  const { model, tokenizer } = await loadModelAndTokenizer(device, paths.tuned, paths.model);
  const texts = await readJsonLines(paths.texts, heldOutTexts, sourceText);
  const { bosId, contextLength: longest } = model.config;
  const { probe, testTriples } = await loadProbe(paths.probe);
  const test = new Set(testTriples);
  const triples = (await readTriples(paths.triples)).filter(({ id }) => test.has(id));
  const plain = texts.map(({ text }) => text);
  return {
    device,
    model,
    tokenizer,
    dictionaries: await placeDictionaries(device, paths.saes),
    reward: rewardOf(reward),
    config: ppo,
    prompts: makePrompts(plain, tokenizer, { ...ppo, bosId }, random).slice(0, prompts),
    texts: tokenIdsOf(tokenizer, texts.slice(0, lossTexts), { prependBos: ppo.prependBos, bosId }),
    contextTokens: Math.min(contextLength, longest),
    probe,
    triples: triples.slice(0, separatedTriples),
    prefixIds: prefixOf({ prependBos: ppo.prependBos, bosId }),
  };
}
