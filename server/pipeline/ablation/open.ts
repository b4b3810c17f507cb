import type { Random } from "../../common/random.ts";
import { oneByOne } from "../../common/side-by-side.ts";
import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { loadProbe } from "../../probe/format.ts";
import type { Reward } from "../../rewards/reward.ts";
import { makePrompts, type Prompt } from "../../tuning/prompts.ts";
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

/** One subject on several devices; they share its reward. */
export interface OpenedSubjects extends AsyncDisposable {
  readonly subjects: readonly [AblationSubject, ...AblationSubject[]];
}

/**
 * Loads the subject of an ablation of dictionaries of these sizes onto each of the devices. Its reward, on the first of
 * them, lives until the result is disposed of. `random` draws the prompts' lengths.
 */
export async function openAblation(
  devices: readonly [Device, ...Device[]],
  paths: AblationPaths,
  settings: AblationSettings,
  sizes: ReadonlySet<DictionaryPlace["size"]>,
  random: Random,
): Promise<OpenedSubjects> {
  const { text, sampling, judged, reward, prompts } = settings;
  const ratings = needRatings(reward, "an ablation, which reads the probe,");
  const [first, ...others] = devices;
  const tuned = await loadModelAndTokenizer(first, paths.tuned, paths.model);
  const { tokenizer } = tuned;
  const { bosId } = tuned.model.config;
  const texts = await readJsonLines(paths.texts, heldOutTexts, sourceText);
  const plain = texts.map((one) => one.text);
  const { probe, testTriples } = await loadProbe(paths.probe);
  const test = new Set(testTriples);
  const triples = (await readTriples(paths.triples)).filter(({ id }) => test.has(id));
  const opened = await rewardOf(reward, judged, first);
  const shared: Shared = {
    paths,
    settings,
    sizes,
    tokenizer,
    texts: tokenIdsOf(tokenizer, texts.slice(0, lossTexts), { ...text, bosId }),
    prompts: makePrompts(plain, tokenizer, { ...sampling, ...text, bosId }, random).slice(0, prompts),
    triples: triples.slice(0, separatedTriples),
    probe,
    ratings,
    reward: others.length === 0 ? opened : oneBatchAtATime(opened),
  };
  const subjects: [AblationSubject, ...AblationSubject[]] = [await subjectOn(first, tuned.model, shared)];
  for (const device of others) subjects.push(await subjectOn(device, await loadModel(device, paths.tuned), shared));
  return { subjects, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** What the subjects on all devices have in common. */
interface Shared extends Pick<SeparationParts, "probe" | "ratings" | "triples"> {
  readonly paths: AblationPaths;
  readonly settings: AblationSettings;
  readonly sizes: ReadonlySet<DictionaryPlace["size"]>;
  readonly tokenizer: Tokenizer;
  readonly texts: readonly Int32Array[];
  readonly prompts: readonly Prompt[];
  readonly reward: Reward;
}

async function subjectOn(
  device: Device,
  model: LoadedModel,
  { paths, settings, sizes, texts, tokenizer, prompts, reward, triples, probe, ratings }: Shared,
): Promise<AblationSubject> {
  const { sampling, text, contextLength, multiToken } = settings;
  const { bosId, contextLength: longest } = model.config;
  const dictionaries = await placeDictionaries(device, paths.saes);
  const ofSizes = (some: ReadonlySet<DictionaryPlace["size"]>) =>
    dictionaries.filter(({ name }) => some.has(placeOfDictionary(name).size));
  const rewards: RewardParts = { device, tokenizer, reward, sampling, text, prompts };
  const separated: SeparationParts = {
    device,
    model,
    tokenizer,
    probed: ofSizes(new Set(["small"])),
    ratings,
    probe,
    multiToken,
    triples,
    prefixIds: prefixOf({ ...text, bosId }),
  };
  return {
    device,
    model,
    base: await loadModel(device, paths.model, { prefix: "base/" }),
    dictionaries: ofSizes(sizes),
    texts,
    contextTokens: Math.min(contextLength, longest),
    effect: undefined,
    meterOf: (own, edit) => RewardMeter.create(rewards, own, edit),
    separations: (edit, collect) => separationsOf(separated, edit, collect),
  };
}

/** The same reward for callers that do not wait for one another. */
function oneBatchAtATime(reward: Reward): Reward {
  const inTurn = oneByOne();
  return {
    name: reward.name,
    score: (batch, signal) => inTurn(() => reward.score(batch, signal)),
    [Symbol.asyncDispose]: () => reward[Symbol.asyncDispose](),
  };
}
