/** The sets of features that a run ablates, and their measurements, whatever the effect is. */
import { join } from "node:path";
import type { AblationResult } from "../../ablate/result.ts";
import type { StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import type { Ablation } from "../artifacts/ablation.ts";
import { arrayFiles, readDoubles, readFloats } from "../artifacts/array-files.ts";
import { attributedFeatures, attributionFile, attributionSchema } from "../artifacts/attribution.ts";
import { explanationsFile, explanationsSchema } from "../artifacts/explanations.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson } from "../artifacts/json-files.ts";
import { byAttribution, byWeight, type Choice, sortedByWeight } from "./choose.ts";
import { Journal } from "./journal.ts";
import type { AblationBench } from "./measure.ts";

export interface SetSettings {
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

/** Stages whose outputs decide the sets. */
export type SetInput = "examples" | "explain" | "attribute";
type SetContext = StageContext<SetSettings, SetInput>;

/** The journal is the stage's checkpoint. */
export async function journalOf({ resumed, stepDone }: SetContext): Promise<Journal> {
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

export interface ChosenSet {
  readonly picked: Choice;
  readonly ids: readonly string[];
  readonly factor: number;
}

export interface Sets {
  readonly main: ChosenSet;
  /** Other sets, for the same table. */
  readonly beside: readonly ChosenSet[];
}

/** Measures the set with every control, the other sets, and the first features of the set one at a time. */
export async function measureAll(
  bench: AblationBench,
  { main, beside }: Sets,
  { settings, signal, progress }: SetContext,
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
export async function setsOf({ settings, input }: SetContext): Promise<Sets> {
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
