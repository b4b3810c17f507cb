/**
 * Describes the features of a model's dictionaries: runs the model over the texts, finds where each feature is active,
 * and writes examples. Can be saved after every step, with the partly written store, and resumed.
 */

import { createReadStream } from "node:fs";
import { z } from "zod";
import { invariant } from "../../common/errors.ts";
import { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import type { LoadedModel } from "../../models/checkpoint.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { loadProbe } from "../../probe/format.ts";
import type { LinearProbe } from "../../probe/linear-probe.ts";
import type { StageContext } from "../../runs/stage.ts";
import type { StoreWriter, Twin } from "../../store/writer.ts";
import { arrayFiles } from "../artifacts/array-files.ts";
import type { ModelName } from "../artifacts/autoencoders.ts";
import { readJsonLines } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { analysisTexts, sourceText } from "../artifacts/texts.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { type FeatureActivations, statisticsOf } from "./activations.loops.ts";
import { type Activations, type NamedArrays, savedActivations, savedHarvest, unwritten } from "./describe-state.ts";
import { groupsOf, models, nameOf, type OpenDictionary } from "./dictionaries.ts";
import { Harvest } from "./harvest.ts";
import { type LogitEffects, logitEffects } from "./logit-effects.ts";
import { ExampleSelector } from "./select.ts";
import { nearestDirections } from "./twins.ts";
import { type WindowedTexts, windowTexts } from "./windows.ts";

export interface DescribeSettings {
  /** Number of tokens to read: texts are taken until they hold so many. */
  readonly tokens: number;
  readonly windowTokens: number;
  readonly contextLength: number;
  readonly prependBos: boolean;
}

type Context = Pick<
  StageContext<DescribeSettings, "model" | "tuned" | "texts" | "probe">,
  "settings" | "input" | "random" | "openDevice" | "resumed" | "progress" | "stepDone"
>;

/** The position of the work in a checkpoint; beside it are the store and the activations that are not written yet. */
export const describePlace = z.object({
  model: z.enum(models),
  group: z.int(),
  at: z.discriminatedUnion("doing", [
    z.object({ doing: z.literal("reading"), texts: z.int() }),
    z.object({
      doing: z.literal("writing"),
      /** Index in the group. */
      dictionary: z.int(),
      /** Number of its features that are written. */
      features: z.int(),
      random: z.tuple([z.int(), z.int(), z.int(), z.int()]).readonly(),
    }),
  ]),
});
export type DescribePlace = z.infer<typeof describePlace>;

/** File of a checkpoint that holds the partly written store. */
export const partialStore = "features.sqlite";

export interface DescribeOptions {
  readonly model: ModelName;
  /** The dictionaries of both models. */
  readonly dictionaries: readonly OpenDictionary[];
  /** The store's writer, committed up to `from`. */
  readonly writer: StoreWriter;
  readonly context: Context;
  /** Position of `context.resumed`, if that is in this model. */
  readonly from: DescribePlace | undefined;
  /** Limit on the activations in memory, as tokens times features. */
  readonly cellsAtOnce?: number;
}

/** Writes all features of a model's dictionaries. */
export async function describeModel(options: DescribeOptions): Promise<void> {
  const { model, dictionaries, context, from, cellsAtOnce } = options;
  await withDevice(context, async (device) => {
    const reader = await openReader(device, options);
    const own = dictionaries.filter((dictionary) => dictionary.model === model);
    for (const [index, members] of groupsOf(own, context.settings.tokens, cellsAtOnce).entries()) {
      if (from !== undefined && index < from.group) continue;
      const group = { index, members };
      const at = index === from?.group ? from.at : undefined;
      const activations =
        at?.doing === "writing"
          ? await savedActivations(reader.context.resumed, group.members, reader.texts.tokens)
          : await readActivations(reader, group, at?.texts ?? 0);
      await writeGroup(reader, group, activations, at?.doing === "writing" ? at : undefined);
    }
  });
}

interface Reader extends DescribeOptions {
  readonly device: Device;
  readonly opened: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly prefixIds: readonly number[];
  readonly texts: WindowedTexts;
  readonly selector: ExampleSelector;
  readonly probe: LinearProbe;
}

/** Dictionaries that share one pass over the texts. */
interface Group {
  readonly index: number;
  readonly members: readonly OpenDictionary[];
}

type Writing = Extract<DescribePlace["at"], { doing: "writing" }>;

async function openReader(device: Device, options: DescribeOptions): Promise<Reader> {
  const { input, settings } = options.context;
  const folder = input(options.model === "base" ? "model" : "tuned");
  const { model: opened, tokenizer } = await loadModelAndTokenizer(device, folder, input("model"));
  const prefixIds = prefixOf({ prependBos: settings.prependBos, bosId: opened.config.bosId });
  const contextTokens = Math.min(settings.contextLength, opened.config.contextLength) - prefixIds.length;
  const { windowTokens, tokens: maxTokens } = settings;
  const all = await readJsonLines(input("texts"), analysisTexts, sourceText);
  const texts = windowTexts(all, { tokenizer, contextTokens, windowTokens, maxTokens, prefixIds });
  const { probe } = await loadProbe(input("probe"));
  return { ...options, device, opened, tokenizer, prefixIds, texts, selector: new ExampleSelector(texts), probe };
}

/** Reads the texts; resumes from the checkpoint if `textsDone` is not 0. */
async function readActivations(reader: Reader, group: Group, textsDone: number): Promise<Activations> {
  const { device, opened, texts, prefixIds, context } = reader;
  const dictionaries = group.members.map((dictionary) => ({ ...dictionary, name: nameOf(dictionary) }));
  const harvest = await Harvest.open({ device, model: opened, dictionaries, texts, prefixIds });
  if (textsDone > 0) harvest.restore(textsDone, await savedHarvest(context.resumed, dictionaries));
  while (await harvest.step()) {
    tellProgress(reader, group, harvest.done / texts.texts.length);
    await saveAt(reader, group, { doing: "reading", texts: harvest.done }, () =>
      Object.entries(harvest.captured()).flatMap(([name, { columns, places, values }]) => [
        [`${name}.columns`, columns],
        [`${name}.places`, places],
        [`${name}.values`, values],
      ]),
    );
  }
  return await harvest.finish();
}

/**
 * Reports progress. The total is one pass over the texts per layer of each model; a shared pass counts once per layer.
 */
function tellProgress({ model, dictionaries, context }: Reader, { members }: Group, share: number): void {
  const layersOf = (some: readonly OpenDictionary[]) => new Set(some.map(({ layer }) => layer)).size;
  const own = dictionaries.filter((dictionary) => dictionary.model === model);
  const [first] = members;
  const before = own.slice(0, first === undefined ? 0 : own.indexOf(first));
  const done = (model === "tuned" ? 0 : layersOf(own)) + layersOf(before) + share * layersOf(members);
  context.progress(Math.round((100 * done) / (2 * layersOf(own))), 100, "%");
}

/** Features written per step, so that the pauses in between come often. */
const featuresAtOnce = 64;

async function writeGroup(reader: Reader, group: Group, found: Activations, from: Writing | undefined): Promise<void> {
  const { model, dictionaries, writer, device, opened, tokenizer, context } = reader;
  for (const [at, dictionary] of group.members.entries()) {
    if (from !== undefined && at < from.dictionary) continue;
    const activations = found.get(nameOf(dictionary));
    invariant(activations !== undefined, `there are no activations of dictionary ${nameOf(dictionary)}`);
    const { size, layer, sae, digest } = dictionary;
    const here = at === from?.dictionary ? from : undefined;
    if (here === undefined)
      writer.dictionary({ model, size, layer, features: sae.F, tokens: activations.tokens, digest });
    const baseTwin = dictionaries.find((one) => one.model === "base" && nameOf(one) === nameOf(dictionary));
    const described = {
      dictionary,
      activations,
      effects: await logitEffects(device, opened, sae, tokenizer),
      nearest: model === "tuned" && baseTwin !== undefined ? nearestDirections(sae, baseTwin.sae) : [],
      random:
        here === undefined ? context.random.fork(`${model} ${nameOf(dictionary)}`) : Random.fromState(here.random),
    };
    for (let first = here?.features ?? 0; first < sae.F; first += featuresAtOnce) {
      const features = Math.min(sae.F, first + featuresAtOnce);
      writeFeatures(described, [first, features], reader);
      writer.commit();
      const place = { doing: "writing", dictionary: at, features, random: described.random.state } as const;
      await saveAt(reader, group, place, () => unwritten(group.members.slice(at), found));
    }
  }
}

/** Ends a step. Calls `arrays` only to save; everything in the store must be committed. */
async function saveAt(
  { model, writer, context }: Reader,
  { index }: Group,
  at: DescribePlace["at"],
  arrays: () => NamedArrays,
): Promise<void> {
  await context.stepDone(() => ({
    state: { model, group: index, at } satisfies DescribePlace,
    files: { [partialStore]: createReadStream(writer.path), ...arrayFiles(Object.fromEntries(arrays())) },
  }));
}

interface Described {
  readonly dictionary: OpenDictionary;
  readonly activations: FeatureActivations;
  readonly effects: readonly LogitEffects[];
  /** By feature: the most similar feature of the base model's dictionary of the same size. */
  readonly nearest: ReturnType<typeof nearestDirections>;
  readonly random: Random;
}

const bins = 20;

/** Writes the features `first` to `end`. */
function writeFeatures(
  described: Described,
  [first, end]: readonly [number, number],
  { writer, texts, selector, probe }: Reader,
): void {
  const { dictionary, activations, effects, nearest, random } = described;
  const { model, size, layer, partners } = dictionary;
  const span = model === "tuned" && size === "small" ? probe.layers.find((one) => one.layer === layer) : undefined;
  for (let feature = first; feature < end; feature++) {
    const place = { model, size, layer, feature } as const;
    const { active, max, mean, histogram } = statisticsOf(activations, feature, bins);
    const weight = span === undefined ? undefined : probe.weights[span.start + feature];
    const partner = partners.get(feature);
    const near = nearest[feature];
    const twin: Twin | null =
      partner === undefined
        ? null
        : {
            place: { ...place, size: size === "small" ? "big" : "small", feature: partner.feature },
            cosine: partner.cosine,
          };
    writer.feature({
      place,
      density: active / activations.tokens,
      activeTokens: active,
      maxActivation: max,
      probeWeight: weight ?? null,
      contribution: weight === undefined ? null : weight * mean,
      histogram,
      twin,
      baseTwin:
        near === undefined ? null : { place: { ...place, model: "base", feature: near.feature }, cosine: near.cosine },
      promotes: effects[feature]?.promotes ?? [],
      suppresses: effects[feature]?.suppresses ?? [],
    });
    for (const { window, ...example } of selector.choose(activations, feature, random)) {
      writer.window({ id: window.id, ...texts.cut(window) });
      writer.example({ ...example, place, window: window.id });
    }
  }
}
