import type { AblatedDictionary } from "../../ablate/edit.ts";
import type { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { loadProbe } from "../../probe/format.ts";
import { loadSae } from "../../sae/format.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import type { PpoConfig } from "../../tuning/ppo-config.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import { autoencodersSchema, qualityFile, saeFolder } from "../stages/autoencoders.ts";
import { heldOutTexts, loadModelAndTokenizer, readJson, readJsonLines, sourceText } from "../stages/common.ts";
import { prefixOf, tokenIdsOf } from "../stages/token-ids.ts";
import { readTriples } from "../stages/triples.ts";
import { type RewardSettings, rewardOf } from "../stages/tune.ts";
import { type AblationSubject, dictionaryName } from "./measure.ts";

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

/** The tuned model's, big before small as they are applied; one size alone is the small one. */
async function placeDictionaries(device: Device, root: string): Promise<AblatedDictionary[]> {
  const { saes } = await readJson(root, qualityFile, autoencodersSchema);
  const found: AblatedDictionary[] = [];
  for (const layer of new Set(saes.map((sae) => sae.layer))) {
    const sizes = saes.filter((sae) => sae.model === "tuned" && sae.layer === layer).toSorted((a, b) => b.F - a.F);
    for (const [at, { F }] of sizes.entries()) {
      if (at > 0 && at < sizes.length - 1) continue;
      const size = at === sizes.length - 1 ? "small" : "big";
      const name = dictionaryName({ layer, size });
      const { sae } = await loadSae(saeFolder(root, "tuned", layer, F));
      const { store, nodes } = await placeSae(device, name, sae);
      const { decoder, decoderBias } = nodes;
      found.push({ name, layer, features: F, store, encode: (x) => encodeNode(x, nodes), decoder, decoderBias });
    }
  }
  return found;
}
