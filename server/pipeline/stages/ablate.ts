import { join } from "node:path";
import type { AblationResult } from "../../ablate/result.ts";
import { loadProbe } from "../../probe/format.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import { byAttribution, byWeight, type Choice, sortedByWeight } from "../ablation/choose.ts";
import { effectsOf } from "../ablation/effects.ts";
import { activationFrequencies } from "../ablation/frequencies.ts";
import { Journal } from "../ablation/journal.ts";
import { AblationBench } from "../ablation/measure.ts";
import { type AblationSettings, openAblation } from "../ablation/open.ts";
import { type Ablation, ablationFile, ablationSchema } from "../artifacts/ablation.ts";
import { arrayFiles, readDoubles, readFloats } from "../artifacts/array-files.ts";
import { attributedFeatures, attributionFile, attributionSchema } from "../artifacts/attribution.ts";
import { readCollected } from "../artifacts/collected.ts";
import { explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { withDevice } from "../artifacts/loading.ts";
import { readTriples } from "../artifacts/triples.ts";
import { needRatings } from "../feedback.ts";

export interface AblateSettings extends AblationSettings {
  readonly choose: Choice;
  /** Number of features, where the choice itself does not fix it. */
  readonly features: number;
  /** Completions of every prompt, for the set; half as many for the other choices. */
  readonly completions: number;
  /** Random sets to compare with. */
  readonly draws: number;
  /** Random sets for each of the other choices. */
  readonly drawsBeside: number;
  /** Number of features that are also removed one at a time: the first of the set. */
  readonly single: number;
  readonly seed: number;
}

type Inputs =
  | "model"
  | "tuned"
  | "texts"
  | "saes"
  | "probe"
  | "triples"
  | "collected"
  | "examples"
  | "explain"
  | "attribute";
type Context = StageContext<AblateSettings, Inputs>;

/** Removes the features that represent the task, and measures the effect beside its controls. */
export const ablateStage: Stage<AblateSettings, Inputs> = {
  name: "ablate",
  codeVersion: 4,
  run: async (context) => {
    const { settings, input, output } = context;
    const sets = await setsOf(context);
    await withDevice(context, async (device) => {
      const paths = {
        model: input("model"),
        tuned: input("tuned"),
        texts: input("texts"),
        saes: input("saes"),
        probe: input("probe"),
        triples: input("triples"),
      };
      const random = context.random.fork("prompts");
      await using subject = await openAblation(device, paths, settings, new Set(["small"]), random);
      const bench = await AblationBench.open(subject, await journalOf(context));
      const measured = await measureAll(bench, sets, context);
      await bench.dispose();
      const frequencies = await frequenciesOf(sets.main.ids, measured.set, context);
      const found = { picked: sets.main.picked, ...measured, frequencies };
      await writeJson(output, ablationFile, ablationSchema.parse(found));
    });
  },
};

/** The journal is the stage's checkpoint. */
async function journalOf({ resumed, stepDone }: Context): Promise<Journal> {
  const saved = resumed && {
    state: resumed.state,
    doubles: await readDoubles(resumed),
    floats: await readFloats(resumed),
  };
  return new Journal(
    (capture) =>
      stepDone(() => {
        const { state, doubles, floats } = capture();
        return { state, files: arrayFiles({ ...doubles, ...floats }) };
      }),
    saved,
  );
}

interface ChosenSet {
  readonly picked: Choice;
  readonly ids: readonly string[];
  readonly factor: number;
}

interface Sets {
  readonly main: ChosenSet;
  /** Other sets, for the same table. */
  readonly beside: readonly ChosenSet[];
}

async function measureAll(
  bench: AblationBench,
  { main, beside }: Sets,
  { settings, signal, progress }: Context,
): Promise<Pick<Ablation, "set" | "beside" | "single">> {
  const { draws, drawsBeside, completions, seed } = settings;
  const alone = main.ids.length === 1 ? [] : main.ids.slice(0, settings.single);
  const total = 5 + draws + beside.length + alone.length;
  let done = 0;
  const advance = (): void => progress(Math.min(total, ++done), total, "conditions");
  const common = { completions, seed, signal };
  const featuresOf = ({ ids, factor }: ChosenSet) => ids.map((id) => ({ id, factor }));
  const set = await bench.measure({ ...common, features: featuresOf(main), draws, onStep: advance });
  const others: Ablation["beside"] = [];
  for (const one of beside) {
    // Doubling random features answers another question than removing them, so a doubled set has no random controls.
    const isDoubled = one.factor !== 0;
    const controls = isDoubled ? { draws: 0 } : { draws: drawsBeside, completions: Math.ceil(completions / 2) };
    const result = await bench.measure({ ...common, ...controls, features: featuresOf(one), extent: "beside" });
    others.push({ picked: one.picked, result });
    advance();
  }
  const single: AblationResult[] = [];
  for (const id of alone) {
    single.push(await bench.measure({ ...common, features: [{ id, factor: 0 }], draws: 0, extent: "rewardAlone" }));
    advance();
  }
  return { set, beside: others, single };
}

/**
 * The sets of every choice: the one that the settings name, the same doubled, the others, and four times as many by
 * attribution.
 */
async function setsOf({ settings, input }: Context): Promise<Sets> {
  const { choose, features: count } = settings;
  const attribution = await readJson(input("attribute"), attributionFile, attributionSchema);
  const attributed = attributedFeatures(attribution, ["small"]);
  const { features: explained } = await readJson(input("explain"), explanationsFile, explanationsSchema);
  using store = FeatureStore.openOutput(join(input("examples"), featuresFile));
  const relevant = explained.filter(({ detail }) => detail.relevance?.relevant === true).map(({ id }) => id);
  const idsBy: { readonly [K in Choice]: () => string[] } = {
    attribution: () => byAttribution(attributed, "attribution", count),
    lowest: () => byAttribution(attributed, "lowest", count),
    relevant: () => sortedByWeight(store, relevant),
    weight: () => byWeight(store, count),
  };
  const removed = (picked: Choice): ChosenSet => ({ picked, ids: idsBy[picked](), factor: 0 });
  const named = removed(choose);
  const main = named.ids.length > 0 ? named : removed("weight");
  const many = byAttribution(attributed, "attribution", 4 * count);
  const others: readonly ChosenSet[] = [
    { ...main, factor: 2 },
    ...(["attribution", "lowest", "relevant", "weight"] as const).filter((one) => one !== main.picked).map(removed),
    ...(many.length > count ? [{ picked: "attribution" as const, ids: many, factor: 0 }] : []),
  ];
  return { main, beside: others.filter(({ ids }) => ids.length > 0) };
}

async function frequenciesOf(
  ids: readonly string[],
  { conditions }: Ablation["set"],
  { input, settings }: Context,
): Promise<Ablation["frequencies"]> {
  const { features } = await readCollected(input("collected"));
  const { probe, testTriples } = await loadProbe(input("probe"));
  const isTest = new Set(testTriples);
  const triples = await readTriples(input("triples"));
  const test = triples.flatMap(({ id }, at) => (isTest.has(id) ? [at] : []));
  const columnsOf = (some: readonly string[]): number[] =>
    some.flatMap((id) => {
      const place = parseFeatureId(id);
      const span = features.layers.find(({ layer }) => layer === place?.layer);
      return place === undefined || span === undefined ? [] : [span.start + place.feature];
    });
  const random = conditions.filter(({ kind }) => kind === "random").flatMap((draw) => draw.features);
  const ratings = needRatings(settings.reward, "stage ablate");
  return activationFrequencies(probe, features, test, { ablated: columnsOf(ids), random: columnsOf(random) }, ratings);
}

/** Adds the run's ablations to its writable store. */
export async function installAblations(output: string, runRoot: string, key: string): Promise<void> {
  const { set, beside, single } = await readJson(output, ablationFile, ablationSchema);
  const all = [set, ...single, ...beside.map(({ result }) => result)];
  using store = FeatureStore.open(join(runRoot, featuresFile));
  store.once("ablate", key, () => {
    store.addAblations(
      all.map((result, at) => ({ key: `${key} ${at}`, result, effects: effectsOf(result) })),
      true,
    );
  });
}
