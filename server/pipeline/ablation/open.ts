import type { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { loadProbe } from "../../probe/format.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import { readJsonLines } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer } from "../artifacts/loading.ts";
import { heldOutTexts, sourceText } from "../artifacts/texts.ts";
import { prefixOf, tokenIdsOf } from "../artifacts/token-ids.ts";
import { readTriples } from "../artifacts/triples.ts";
import { type CompletionSettings, needRatings, type RewardSettings, rewardOf } from "../feedback.ts";
import { type DictionaryPlace, placeDictionaries, placeOfDictionary } from "./dictionaries.ts";
import { RewardMeter } from "./rewards.ts";
import { separationsOf } from "./separations.ts";
import type { AblationSubject, RewardParts, SeparationParts } from "./subject.ts";

/** Folders of a run's outputs and of its models. */
export interface AblationPaths {
  readonly model: string;
  readonly tuned: string;
  readonly texts: string;
  readonly saes: string;
  readonly probe: string;
  readonly triples: string;
}

export interface AblationSettings extends CompletionSettings {
  readonly reward: RewardSettings;
  readonly contextLength: number;
  /** How the probe reads words of several tokens. */
  readonly multiToken: "average" | "firstPiece";
  /** Maximum number of prompts. */
  readonly prompts: number;
}

/** Maximum numbers of texts and triples, enough for intervals that are narrow relative to the effects. */
const lossTexts = 32;
const separatedTriples = 96;

/**
 * Loads the subject of an ablation of dictionaries of these sizes onto a device; the subject owns its reward until it
 * is disposed. `random` draws the prompts' lengths.
 */
export async function openAblation(
  device: Device,
  paths: AblationPaths,
  { sampling, text, judged, reward, contextLength, multiToken, prompts }: AblationSettings,
  sizes: ReadonlySet<DictionaryPlace["size"]>,
  random: Random,
): Promise<AblationSubject & AsyncDisposable> {
  const { model, tokenizer } = await loadModelAndTokenizer(device, paths.tuned, paths.model);
  const texts = await readJsonLines(paths.texts, heldOutTexts, sourceText);
  const { bosId, contextLength: longest } = model.config;
  const { probe, testTriples } = await loadProbe(paths.probe);
  const test = new Set(testTriples);
  const triples = (await readTriples(paths.triples)).filter(({ id }) => test.has(id));
  const dictionaries = await placeDictionaries(device, paths.saes);
  const ofSizes = (some: ReadonlySet<DictionaryPlace["size"]>) =>
    dictionaries.filter(({ name }) => some.has(placeOfDictionary(name).size));
  const plain = texts.map((one) => one.text);
  const ratings = needRatings(reward, "an ablation, which reads the probe,");
  const opened = await rewardOf(reward, judged, device);
  const rewards: RewardParts = {
    device,
    tokenizer,
    reward: opened,
    sampling,
    text,
    prompts: makePrompts(plain, tokenizer, { ...sampling, ...text, bosId }, random).slice(0, prompts),
  };
  const separated: SeparationParts = {
    device,
    model,
    tokenizer,
    probed: ofSizes(new Set(["small"])),
    ratings,
    probe,
    multiToken,
    triples: triples.slice(0, separatedTriples),
    prefixIds: prefixOf({ ...text, bosId }),
  };
  return {
    device,
    model,
    base: await loadModel(device, paths.model, { prefix: "base/" }),
    dictionaries: ofSizes(sizes),
    texts: tokenIdsOf(tokenizer, texts.slice(0, lossTexts), { ...text, bosId }),
    contextTokens: Math.min(contextLength, longest),
    effect: undefined,
    meterOf: (own, edit) => RewardMeter.create(rewards, own, edit),
    separations: (edit, journal) => separationsOf(separated, edit, journal),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
