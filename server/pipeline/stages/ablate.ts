import { join } from "node:path";
import { loadProbe } from "../../probe/format.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import { effectsOf } from "../ablation/effects.ts";
import { activationFrequencies } from "../ablation/frequencies.ts";
import { AblationBench } from "../ablation/measure.ts";
import { type AblationSettings, openAblation } from "../ablation/open.ts";
import { journalOf, measureAll, type SetInput, type SetSettings, setsOf } from "../ablation/run-sets.ts";
import { type Ablation, ablationFile, ablationSchema } from "../artifacts/ablation.ts";
import { readCollected } from "../artifacts/collected.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson, writeJson } from "../artifacts/json-files.ts";
import { copiesInMemory, withDevices } from "../artifacts/loading.ts";
import { readTriples } from "../artifacts/triples.ts";
import { needRatings } from "../feedback.ts";

export interface AblateSettings extends AblationSettings, SetSettings {}

type Inputs = SetInput | "model" | "tuned" | "texts" | "saes" | "probe" | "triples" | "collected";
type Context = StageContext<AblateSettings, Inputs>;

/** Removes the features that represent the task, and measures the effect beside its controls. */
export const ablateStage: Stage<AblateSettings, Inputs> = {
  name: "ablate",
  codeVersion: 5,
  run: async (context) => {
    const { settings, input, output } = context;
    const sets = await setsOf(context);
    // Each device holds all of the subject.
    const most = await copiesInMemory(input("model"));
    await withDevices(context, most, async (devices) => {
      const paths = {
        model: input("model"),
        tuned: input("tuned"),
        texts: input("texts"),
        saes: input("saes"),
        probe: input("probe"),
        triples: input("triples"),
      };
      const random = context.random.fork("prompts");
      await using opened = await openAblation(devices, paths, settings, new Set(["small"]), random);
      const bench = await AblationBench.open(opened.subjects, await journalOf(context));
      const measured = await measureAll(bench, sets, context);
      await bench.dispose();
      const frequencies = await frequenciesOf(sets.main.ids, measured.set, context);
      const found = { picked: sets.main.picked, ...measured, frequencies };
      await writeJson(output, ablationFile, ablationSchema.parse(found));
    });
  },
};

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
