import { join } from "node:path";
import { z } from "zod";
import { ablationResult } from "../../ablate/result.ts";
import { loadProbe } from "../../probe/format.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import { FeatureStore } from "../../store/store.ts";
import { effectsOf } from "../ablation/effects.ts";
import { activationFrequencies, frequenciesSchema } from "../ablation/frequencies.ts";
import { Journal } from "../ablation/journal.ts";
import { AblationBench } from "../ablation/measure.ts";
import { type AblationSettings, openAblation } from "../ablation/open.ts";
import type { Stage, StageContext } from "../stage.ts";
import { arrayFiles, readDoubles, readFloats } from "./array-files.ts";
import { readCollected } from "./collect.ts";
import { readJson, withDevice, writeJson } from "./common.ts";
import { featuresFile } from "./examples.ts";
import { explanationsFile, explanationsSchema } from "./explain.ts";
import { readTriples } from "./triples.ts";

export interface AblateSettings extends AblationSettings {
  /** Random sets to compare with. */
  readonly draws: number;
  /** Features that are also removed one at a time: those of the set that weigh most. */
  readonly single: number;
  readonly seed: number;
}

/** File of the `ablate` stage. */
export const ablationFile = "ablation.json";

export const ablationSchema = z.object({
  /** `relevant`: explained features that were judged to have to do with the task; `weight`: none were, so those that weigh most. */
  picked: z.enum(["relevant", "weight"]),
  set: ablationResult,
  /** Each removed alone. */
  single: z.array(ablationResult),
  frequencies: frequenciesSchema,
});
export type Ablation = z.infer<typeof ablationSchema>;

type Inputs = "model" | "tuned" | "texts" | "saes" | "probe" | "triples" | "collected" | "examples" | "explain";
type Context = StageContext<AblateSettings, Inputs>;

/** Removes the features that stand for the task, and measures what that does beside its controls. */
export const ablateStage: Stage<AblateSettings, Inputs> = {
  name: "ablate",
  codeVersion: 2,
  run: async (context) => {
    const { settings, input, output } = context;
    const { picked, ids } = await pick(context);
    await withDevice(context, async (device) => {
      const paths = {
        model: input("model"),
        tuned: input("tuned"),
        texts: input("texts"),
        saes: input("saes"),
        probe: input("probe"),
        triples: input("triples"),
      };
      const subject = await openAblation(device, paths, settings, context.random.fork("prompts"));
      const bench = await AblationBench.open(subject, await journalOf(context));
      const { set, single } = await measureAll(bench, ids, context);
      await bench.dispose();
      const frequencies = await frequenciesOf(ids, set, context);
      await writeJson(output, ablationFile, ablationSchema.parse({ picked, set, single, frequencies }));
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

async function measureAll(
  bench: AblationBench,
  ids: readonly string[],
  { settings, signal, progress }: Context,
): Promise<Pick<Ablation, "set" | "single">> {
  const { draws, seed } = settings;
  const alone = ids.length === 1 ? [] : ids.slice(0, settings.single);
  const total = 4 + draws + alone.length;
  let done = 0;
  const advance = (): void => progress(Math.min(total, ++done), total, "conditions");
  const features = ids.map((id) => ({ id, factor: 0 }));
  const set = await bench.measure({ features, draws, seed, signal, onStep: advance });
  const single: Ablation["single"] = [];
  for (const id of alone) {
    single.push(await bench.measure({ features: [{ id, factor: 0 }], draws: 0, seed, bare: true, signal }));
    advance();
  }
  return { set, single };
}

/** The set, by falling weight of its features in the probe's output. */
async function pick({ input }: Context): Promise<{ picked: Ablation["picked"]; ids: string[] }> {
  const { features } = await readJson(input("explain"), explanationsFile, explanationsSchema);
  using store = FeatureStore.openOutput(join(input("examples"), featuresFile));
  const weightOf = (id: string): number => Math.abs(store.need(id).row.contribution ?? 0);
  const byWeight = (ids: readonly string[]): string[] => ids.toSorted((a, b) => weightOf(b) - weightOf(a));
  const relevant = features.filter(({ detail }) => detail.relevance?.relevant === true).map(({ id }) => id);
  if (relevant.length > 0) return { picked: "relevant", ids: byWeight(relevant) };
  const all = features.length > 0 ? features.map(({ id }) => id) : store.mostSimilar(fallback);
  return { picked: "weight", ids: byWeight(all).slice(0, fallback) };
}

/** So many features stand in for relevant ones when there are none. */
const fallback = 8;

async function frequenciesOf(
  ids: readonly string[],
  { conditions }: Ablation["set"],
  { input }: Context,
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
  return activationFrequencies(probe, features, test, { ablated: columnsOf(ids), random: columnsOf(random) });
}

/** Puts the run's ablations into its living store. */
export async function installAblations(output: string, runRoot: string, key: string): Promise<void> {
  const { set, single } = await readJson(output, ablationFile, ablationSchema);
  using store = FeatureStore.open(join(runRoot, featuresFile));
  store.once("ablate", key, () => {
    store.addAblations(
      [set, ...single].map((result, at) => ({ key: `${key} ${at}`, result, effects: effectsOf(result) })),
      true,
    );
  });
}
