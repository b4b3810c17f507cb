/**
 * Opens a finished run for the lens: joins its tuned model, dictionaries, probe and task, and rejects parts that do not
 * belong together.
 */

import { basename, join, resolve } from "node:path";
import { centredForm } from "../../common/centred-form.loops.ts";
import { messageOf } from "../../common/errors.ts";
import { exists } from "../../common/exists.ts";
import type { Node } from "../../engine/graph.ts";
import { scaledProbe } from "../../lens/columns.ts";
import { LensMismatchError, LensMissingError } from "../../lens/errors.ts";
import { Lens } from "../../lens/lens.ts";
import type { LensOptions } from "../../lens/options.ts";
import type {
  DictionaryKind,
  LensDictionary,
  LensFamiliarity,
  LensFitted,
  LensProbe,
  LensSubject,
} from "../../lens/subject.ts";
import type { LensWordFolds } from "../../lens/unseen.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import { assertMatchesVocabulary, loadTokenizer } from "../../models/tokenizer.ts";
import { loadProbe, type SavedProbe } from "../../probe/format.ts";
import type { RunInfo } from "../../protocol/lens-state.ts";
import type { Reward } from "../../rewards/reward.ts";
import { runPaths } from "../../runs/run-folder.ts";
import { loadSae } from "../../sae/format.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import { readDictionaries } from "../artifacts/autoencoders.ts";
import { readCalibration } from "../artifacts/calibration-file.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { rewardSettingsOf } from "../experiment/feedback-settings.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import { needRatings, ratingsOf, rewardOf } from "../feedback.ts";
import { evidenceOf } from "./lens-evidence.ts";
import { loadLexicon } from "./lens-lexicon.ts";
import { betaOfRun, preferencesOfRun } from "./lens-preferences.ts";
import { modelFolder, tokenizerFolderOf, tunedFolderOf } from "./model-folders.ts";
import { type OpenOnOptions, type OwnDevice, openOnDevice } from "./open-on-device.ts";
import { dictionariesIn } from "./run-identity.ts";

export interface OpenLensOptions extends LensOptions<RunInfo>, OpenOnOptions {}

/**
 * Opens a run folder. Throws `LensMissingError` when the run is missing or unfinished, `LensMismatchError` when its
 * parts do not belong together, and what reading its files throws.
 */
export async function openLens(runFolder: string, options: OpenLensOptions = {}): Promise<Lens> {
  const folder = resolve(runFolder);
  options.signal?.throwIfAborted();
  await requireParts(folder);
  // Read while the device starts, which takes longer.
  const reading = readDescriptions(folder);
  reading.catch(() => undefined);
  return new Lens(
    await openOnDevice(options, async (own) => subjectOf({ folder, ...(await reading), ...own })),
    options,
  );
}

/** The run's experiment and probe. */
async function readDescriptions(folder: string): Promise<Pick<Parts, "experiment" | "saved">> {
  return {
    experiment: await loadExperiment(runPaths(folder).experiment),
    saved: await loadProbe(join(folder, "probe")),
  };
}

interface Parts extends OwnDevice<LensSubject> {
  readonly folder: string;
  readonly experiment: Experiment;
  readonly saved: SavedProbe;
}

async function subjectOf(parts: Parts): Promise<LensSubject> {
  const { folder, experiment, saved, device, onCpu } = parts;
  const tunedFolder = await tunedFolderOf(folder, experiment);
  const tokenizerFolder = await tokenizerFolderOf(tunedFolder, experiment);
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const tuned = await loadModel(device, tunedFolder);
  assertMatchesVocabulary(tokenizer, tuned.config.vocabSize);
  const loaded = new Map<string, Promise<ReadonlyMap<number, LensDictionary>>>();
  const dictionaries = (kind: DictionaryKind) =>
    remembered(loaded, `${kind.model} ${kind.size}`, () => loadDictionaries(parts, kind, tuned));
  const probe = checkedProbe(parts, await dictionaries({ model: "tuned", size: "small" }));
  const base = new Map<string, Promise<LoadedModel>>();
  const rewards = new Map<string, Promise<Reward>>();
  const feedback = rewardSettingsOf(experiment);
  const ratings = ratingsOf(feedback);
  const baseFolder = await modelFolder(experiment.model).catch(() => undefined);
  const fitted = await loadFitted(folder, probe, experiment);
  const prefixIds = prefixOf({ ...experiment.text, bosId: tuned.config.bosId });
  return {
    info: await infoOf(parts, { probe, tuned, ratings, fitted, hasBase: baseFolder !== undefined }),
    device,
    tokenizer,
    prefixIds,
    tuned,
    base: () => remembered(base, "base", () => loadBase(parts, tuned)),
    probe,
    wordFolds: wordFoldsOf(saved, experiment),
    fitted,
    multiToken: experiment.probe.multiToken,
    dictionaries,
    reward: () => remembered(rewards, "reward", () => rewardOf(feedback, "completion", device)),
    ratings,
    evidence: evidenceOf(saved.report, ratings),
    preferences: await preferencesOfRun(experiment, {
      tokenizer,
      // A tuned model's folder may hold its weights and tokenizer alone.
      folders: [tokenizerFolder, ...(baseFolder === undefined ? [] : [baseFolder])],
      prefixIds,
      contextLength: tuned.config.contextLength,
    }),
    lexicon: await loadLexicon(folder),
    familiarity: familiarityOf(saved),
    onCpu,
    close: async () => {
      for (const opening of rewards.values()) await (await opening)[Symbol.asyncDispose]();
      await device.close();
    },
  };
}

async function infoOf(
  { folder, experiment, saved, description }: Parts,
  {
    probe,
    tuned,
    ratings,
    fitted,
    hasBase,
  }: Pick<LensSubject, "probe" | "tuned" | "ratings" | "fitted"> & Pick<RunInfo, "hasBase">,
): Promise<RunInfo> {
  return {
    kind: "run",
    runFolder: folder,
    runName: basename(folder),
    dictionaries: await dictionariesIn(folder),
    task: experiment.task,
    modelType: tuned.config.modelType,
    layers: probe.layers.map(({ layer }) => layer),
    features: probe.weights.length,
    device: description,
    hasTrueReward: ratings !== undefined,
    hasFamiliarity: saved.familiarity !== undefined,
    hasBase,
    hasFitted: fitted !== undefined,
    beta: betaOfRun(experiment),
    hasFeatureStore: await exists(join(folder, "features.sqlite")),
    calibration: (await readCalibration(folder, experiment)) ?? null,
  };
}

function wordFoldsOf({ wordFolds }: SavedProbe, experiment: Experiment): LensWordFolds | undefined {
  if (wordFolds === undefined) return undefined;
  const { probes, foldOf } = wordFolds;
  return {
    models: probes.map(({ weights, intercept, outputScale }) =>
      scaledProbe({ weights, intercept, outputScale: outputScaleOf(outputScale, experiment) }),
    ),
    foldOf: (word) => foldOf.get(word),
  };
}

/** A probe's own scale, and the range of ratings that it is rescaled to. Throws `NoWordRatingsError`. */
function outputScaleOf(from: SavedProbe["probe"]["outputScale"], experiment: Experiment): LensProbe["outputScale"] {
  return from === null
    ? null
    : { from, to: needRatings(rewardSettingsOf(experiment), "a probe on the scale of ratings").range };
}

function familiarityOf({ familiarity }: SavedProbe): LensFamiliarity | undefined {
  if (familiarity === undefined) return undefined;
  const { inverse, means, limit } = familiarity;
  return { leverage: centredForm(inverse, means), limit };
}

/** The probe fitted to the log-ratio; undefined for older runs. Its columns must be the probe's. */
async function loadFitted(folder: string, probe: LensProbe, experiment: Experiment): Promise<LensFitted | undefined> {
  const place = join(folder, "fitted");
  if (!(await exists(join(place, "probe.json")))) return undefined;
  const saved = await loadProbe(place);
  const { weights, intercept, layers } = saved.probe;
  const spans = (of: LensProbe["layers"]): string => of.map(({ layer, end }) => `${layer}:${end}`).join();
  if (spans(layers) !== spans(probe.layers))
    throw new LensMismatchError(
      `${place} was fitted on other features than the run's probe; the two are not of one run: finish the run with \`lfp run\``,
    );
  return { weights: Float64Array.from(weights), intercept, wordFolds: wordFoldsOf(saved, experiment) };
}

/** Checks that the parts of a finished run exist, in the order in which a run makes them. */
async function requireParts(folder: string): Promise<void> {
  for (const part of ["experiment.json", "sae", "probe/probe.json"]) {
    if (await exists(join(folder, part))) continue;
    throw new LensMissingError(
      `${folder} has no ${part}, so there is nothing to look through: name the folder of a finished run, or finish it with \`lfp run\``,
    );
  }
}

async function loadBase({ experiment, device }: Parts, tuned: LoadedModel): Promise<LoadedModel> {
  const folder = await modelFolder(experiment.model).catch((cause: unknown) => {
    throw new LensMissingError(`the run's base model ${experiment.model} is not on this machine: ${messageOf(cause)}`, {
      cause,
    });
  });
  const base = await loadModel(device, folder, { prefix: "base." });
  if (
    base.config.modelType !== tuned.config.modelType ||
    base.config.width !== tuned.config.width ||
    base.config.layers !== tuned.config.layers
  )
    throw new LensMismatchError(
      `${folder} is of another shape than the run's tuned model; it is not the model that was tuned`,
    );
  return base;
}

/** Loads one dictionary per layer: the smallest or the largest. */
async function loadDictionaries(
  { folder, device }: Parts,
  { model, size }: DictionaryKind,
  { config }: LoadedModel,
): Promise<ReadonlyMap<number, LensDictionary>> {
  const root = join(folder, "sae");
  const own = (await readDictionaries(root)).filter((one) => one.model === model);
  if (own.length === 0) throw new LensMissingError(`${root} holds no dictionaries of the ${model} model`);
  const found = new Map<number, LensDictionary>();
  for (const { layer, folder: place } of own.filter((one) => one.size === size)) {
    const { sae, site } = await loadSae(place);
    if (sae.D !== config.width || layer >= config.layers)
      throw new LensMismatchError(
        `${place} reads layer ${layer} of a model of width ${sae.D}, but the tuned model has ${config.layers} layers of width ${config.width}; the two are not of one run`,
      );
    const { store, nodes } = await placeSae(device, `${model}.${size}.${layer}`, sae);
    const encode = (x: Node): Node => encodeNode(x, nodes);
    found.set(layer, { layer, site, features: sae.F, store, encode, decoder: nodes.decoder });
  }
  if (found.size === 0)
    throw new LensMissingError(`${root} holds no ${size} dictionaries of the ${model} model; it has one size only`);
  return found;
}

/** Checks that the probe's columns are the dictionaries' features, layer by layer. */
function checkedProbe(
  { saved: { probe }, folder, experiment }: Parts,
  dictionaries: ReadonlyMap<number, LensDictionary>,
): LensProbe {
  for (const { layer, start, end } of probe.layers) {
    const features = dictionaries.get(layer)?.features;
    if (features === end - start) continue;
    const has = features === undefined ? "there is none" : `the one in sae/tuned has ${features}`;
    throw new LensMismatchError(
      `${folder}: the probe reads ${end - start} features of layer ${layer}, but ${has}; probe and dictionaries are not of one run`,
    );
  }
  const unread = [...dictionaries.keys()].filter((layer) => !probe.layers.some((span) => span.layer === layer));
  if (unread.length > 0)
    throw new LensMismatchError(
      `${folder}: the probe reads no features of layer ${unread.join(", ")}, for which sae/tuned has dictionaries; the two are not of one run`,
    );
  return { ...probe, outputScale: outputScaleOf(probe.outputScale, experiment) };
}

/** Caches what `load` returns; does not cache a failure. */
function remembered<T>(known: Map<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const loading = known.get(key) ?? load();
  known.set(key, loading);
  loading.catch(() => known.delete(key));
  return loading;
}
