import { join } from "node:path";
import { loadProbe } from "../../probe/format.ts";
import type { LinearProbe } from "../../probe/linear-probe.ts";
import { loadSae } from "../../sae/format.ts";
import type { Sae } from "../../sae/sae.ts";
import { FeatureStore } from "../../store/store.ts";
import { StoreWriter, type Twin } from "../../store/writer.ts";
import { type FeatureActivations, statisticsOf } from "../features/activations.loops.ts";
import { harvest } from "../features/harvest.ts";
import { logitEffects } from "../features/logit-effects.ts";
import { ExampleSelector } from "../features/select.ts";
import { nearestDirections } from "../features/twins.ts";
import { type WindowedTexts, windowTexts } from "../features/windows.ts";
import { checksumOf } from "../files.ts";
import type { Stage, StageContext } from "../stage.ts";
import { type Autoencoders, autoencodersSchema, qualityFile, saeFolder } from "./autoencoders.ts";
import { analysisTexts, loadModelAndTokenizer, readJson, readJsonLines, sourceText, withDevice } from "./common.ts";
import { prefixOf } from "./token-ids.ts";

export interface ExamplesSettings {
  /** Texts are read until they hold so many tokens. */
  readonly tokens: number;
  readonly windowTokens: number;
  readonly contextLength: number;
  readonly prependBos: boolean;
  /** What the feedback is about, in words. */
  readonly task: string;
}

/** File of the `examples` stage, and the living one in the run's folder. */
export const featuresFile = "features.sqlite";

type Inputs = "model" | "tuned" | "texts" | "saes" | "probe";
type Context = StageContext<ExamplesSettings, Inputs>;
type ModelName = "base" | "tuned";

/** Looks where each feature of every dictionary is active, and keeps what shows it. */
export const examplesStage: Stage<ExamplesSettings, Inputs> = {
  name: "examples",
  codeVersion: 1,
  run: async (context) => {
    const { settings, input, output } = context;
    const writer = new StoreWriter(join(output, featuresFile));
    try {
      writer.meta("task", settings.task);
      const dictionaries = await openDictionaries(input("saes"));
      for (const model of ["tuned", "base"] as const) await describeModel(model, dictionaries, writer, context);
      writer.finish();
    } catch (error) {
      writer.abandon();
      throw error;
    }
  },
};

/** Brings the living store of a run in line with the stage's output; what people wrote stays. */
export function installFeatures(output: string, runRoot: string, key: string): void {
  using store = FeatureStore.open(join(runRoot, featuresFile), { create: true });
  store.refill({ path: join(output, featuresFile), key });
}

interface OpenDictionary {
  readonly model: ModelName;
  readonly size: "small" | "big";
  readonly layer: number;
  readonly sae: Sae;
  readonly digest: string;
  /** By this dictionary's features: the partner in the other size. */
  readonly partners: ReadonlyMap<number, { readonly feature: number; readonly cosine: number }>;
}

/** The smallest and the largest dictionary of each layer; one size alone is the small one. */
async function openDictionaries(root: string): Promise<OpenDictionary[]> {
  const { saes, similarities } = await readJson(root, qualityFile, autoencodersSchema);
  const found: OpenDictionary[] = [];
  for (const model of ["tuned", "base"] as const) {
    for (const layer of new Set(saes.map((sae) => sae.layer))) {
      const sizes = saes.filter((sae) => sae.model === model && sae.layer === layer).toSorted((a, b) => a.F - b.F);
      const similarity = similarities.find((one) => one.model === model && one.layer === layer);
      for (const [at, { F }] of sizes.entries()) {
        if (at > 0 && at < sizes.length - 1) continue;
        const folder = saeFolder(root, model, layer, F);
        const { sae } = await loadSae(folder);
        const { sha256: digest } = await checksumOf(join(folder, "sae_weights.safetensors"));
        const size = at === 0 ? "small" : "big";
        found.push({ model, size, layer, sae, digest, partners: partnersOf(similarity, size) });
      }
    }
  }
  return found;
}

function partnersOf(similarity: Autoencoders["similarities"][number] | undefined, size: "small" | "big") {
  const matches = similarity?.matches ?? [];
  return new Map(
    matches.map(({ small, big, cosine }) =>
      size === "small" ? ([small, { feature: big, cosine }] as const) : ([big, { feature: small, cosine }] as const),
    ),
  );
}

async function describeModel(
  model: ModelName,
  all: readonly OpenDictionary[],
  writer: StoreWriter,
  context: Context,
): Promise<void> {
  const { settings, input, random, progress, stepDone } = context;
  await withDevice(context, async (device) => {
    const folder = input(model === "base" ? "model" : "tuned");
    const opened = await loadModelAndTokenizer(device, folder, input("model"));
    const prefixIds = prefixOf({ prependBos: settings.prependBos, bosId: opened.model.config.bosId });
    const contextTokens = Math.min(settings.contextLength, opened.model.config.contextLength) - prefixIds.length;
    const texts = windowTexts(await readJsonLines(input("texts"), analysisTexts, sourceText), {
      tokenizer: opened.tokenizer,
      contextTokens,
      windowTokens: settings.windowTokens,
      maxTokens: settings.tokens,
    });
    const selector = new ExampleSelector(texts);
    const { probe } = await loadProbe(input("probe"));
    const own = all.filter((dictionary) => dictionary.model === model);
    const groups = groupsOf(own, settings.tokens);
    const layers = new Set(own.map(({ layer }) => layer)).size;
    let done = model === "tuned" ? 0 : layers;
    for (const group of groups) {
      const inGroup = new Set(group.map(({ layer }) => layer)).size;
      const found = await harvest({
        device,
        model: opened.model,
        dictionaries: group.map((dictionary) => ({ ...dictionary, name: nameOf(dictionary) })),
        texts,
        prefixIds,
        onPass: async (textsDone) => {
          const share = (done + (inGroup * textsDone) / texts.texts.length) / (2 * layers);
          progress(Math.round(100 * share), 100, "%");
          await stepDone(() => ({ state: {} }));
        },
      });
      done += inGroup;
      for (const dictionary of group) {
        const activations = found.get(nameOf(dictionary));
        if (activations === undefined) continue;
        const effects = await logitEffects(device, opened.model, dictionary.sae, opened.tokenizer);
        const baseTwin = all.find((one) => one.model === "base" && nameOf(one) === nameOf(dictionary));
        const stream = random.fork(`${model} ${nameOf(dictionary)}`);
        writeDictionary(writer, { dictionary, activations, texts, selector, effects, probe, baseTwin, stream });
        await stepDone(() => ({ state: {} }));
      }
    }
  });
}

function nameOf({ layer, size }: OpenDictionary): string {
  return `${layer}.${size}`;
}

/** Layers that are read in one pass: as many as keep what has to be remembered at once within bounds. */
function groupsOf(dictionaries: readonly OpenDictionary[], tokens: number): OpenDictionary[][] {
  const groups: OpenDictionary[][] = [];
  let cells = Number.POSITIVE_INFINITY;
  for (const layer of new Set(dictionaries.map((one) => one.layer))) {
    const own = dictionaries.filter((dictionary) => dictionary.layer === layer);
    const more = own.reduce((total, { sae }) => total + sae.F * tokens, 0);
    if (cells + more > cellsAtOnce) {
      groups.push([]);
      cells = 0;
    }
    cells += more;
    groups.at(-1)?.push(...own);
  }
  return groups;
}

/** Tokens times features; a tenth to a third of them are active, and each of those takes 12 bytes. */
const cellsAtOnce = 2 ** 27;

interface Described {
  readonly dictionary: OpenDictionary;
  readonly activations: FeatureActivations;
  readonly texts: WindowedTexts;
  readonly selector: ExampleSelector;
  readonly effects: Awaited<ReturnType<typeof logitEffects>>;
  readonly probe: LinearProbe;
  readonly baseTwin: OpenDictionary | undefined;
  readonly stream: Context["random"];
}

const bins = 20;

function writeDictionary(writer: StoreWriter, described: Described): void {
  const { dictionary, activations, texts, selector, effects, probe, baseTwin, stream } = described;
  const { model, size, layer, sae, digest, partners } = dictionary;
  writer.dictionary({ model, size, layer, features: sae.F, tokens: activations.tokens, digest });
  const span = model === "tuned" && size === "small" ? probe.layers.find((one) => one.layer === layer) : undefined;
  const nearest = model === "tuned" && baseTwin !== undefined ? nearestDirections(sae, baseTwin.sae) : [];
  for (let feature = 0; feature < sae.F; feature++) {
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
    for (const { window, ...example } of selector.choose(activations, feature, stream)) {
      writer.window({ id: window.id, ...texts.cut(window) });
      writer.example({ ...example, place, window: window.id });
    }
  }
}
