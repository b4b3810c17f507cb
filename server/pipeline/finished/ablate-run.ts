/** Measures ablations of a finished run and saves them in its store. */
import type { AblationResult } from "../../ablate/result.ts";
import { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import { canonicalDigest } from "../../runs/canonical-json.ts";
import { runPaths } from "../../runs/run-folder.ts";
import type { FeatureStore } from "../../store/store.ts";
import { type Contrasts, contrastsOf } from "../../tasks/tasks.ts";
import type { DictionaryPlace } from "../ablation/dictionaries.ts";
import { effectsOf } from "../ablation/effects.ts";
import { ablationPaths, pairAblationPaths } from "../ablation/inputs.ts";
import { AblationBench, type MeasureOptions } from "../ablation/measure.ts";
import { type OpenedSubjects, openAblation } from "../ablation/open.ts";
import { openPairAblation } from "../ablation/open-pairs.ts";
import { rewardSettingsOf } from "../experiment/feedback-settings.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import { completionSettingsOf } from "../experiment/tuning-settings.ts";
import { pairsAtOnceOf, preferenceFor } from "../preference-for.ts";

export interface AblateRunOptions extends Omit<MeasureOptions, "extent" | "seed"> {
  /** Absolute. */
  readonly folder: string;
  readonly device: Device;
  readonly store: FeatureStore;
  /** Maximum number of held-out prompts. */
  readonly prompts: number;
  /** Null: the run's. */
  readonly seed: number | null;
  /**
   * Wraps the opening of the run's models, so that a crash of native code there can be told apart from one in the
   * measurement; by default nothing wraps it.
   */
  readonly guardOpening?: <T>(open: () => Promise<T>) => Promise<T>;
}

/**
 * Measures an ablation and adds it to the store. Throws what `ablationPaths` throws, `AblationSetError`,
 * `ReadOnlyStoreError`, and the signal's reason.
 */
export async function ablateRun(options: AblateRunOptions): Promise<AblationResult> {
  const { folder, device, store, prompts, seed: given, features, draws, completions } = options;
  store.requireWritable();
  const experiment = await loadExperiment(runPaths(folder).experiment);
  const seed = given ?? experiment.seed;
  const sizes = new Set(features.flatMap(({ id }) => parseFeatureId(id)?.size ?? []));
  const { guardOpening = (open) => open() } = options;
  const open = await openers[contrastsOf(experiment.task)]({ folder, experiment, device, prompts, sizes, seed });
  await using opened = await guardOpening(open);
  const { subjects } = opened;
  const bench = await AblationBench.open(subjects);
  const isSampled = subjects[0].effect === undefined;
  const result = await bench.measure({ ...options, seed, completions: isSampled ? completions : 1 });
  await bench.dispose();
  const key = canonicalDigest({ features, prompts, completions, draws, seed, source: store.meta("source") ?? "" });
  store.addAblations([{ key, result, effects: effectsOf(result) }], false);
  return result;
}

interface Finished extends Pick<AblateRunOptions, "folder" | "device" | "prompts"> {
  readonly experiment: Experiment;
  readonly sizes: ReadonlySet<DictionaryPlace["size"]>;
  readonly seed: number;
}

/** Finds a finished run's parts, and returns what opens them on the device, by what the run's task contrasts. */
const openers: {
  readonly [K in Contrasts]: (run: Finished) => Promise<() => Promise<OpenedSubjects>>;
} = {
  words: async ({ folder, experiment, device, prompts, sizes, seed }) => {
    const paths = await ablationPaths(folder, experiment);
    const settings = {
      ...completionSettingsOf(experiment),
      reward: rewardSettingsOf(experiment),
      contextLength: experiment.sae.contextLength,
      multiToken: experiment.probe.multiToken,
      prompts,
    };
    return () => openAblation([device], paths, settings, sizes, Random.fromSeed(seed).fork("prompts"));
  },
  pairs: async ({ folder, experiment, device, prompts, sizes }) => {
    const paths = await pairAblationPaths(folder, experiment);
    const settings = {
      preference: await preferenceFor(experiment, paths.model),
      prependBos: experiment.text.prependBos,
      contextLength: experiment.sae.contextLength,
      pairs: prompts,
      pairsAtOnce: pairsAtOnceOf(experiment),
    };
    return async () => ({
      subjects: [await openPairAblation(device, paths, settings, sizes)],
      // Models and dictionaries go with the device.
      [Symbol.asyncDispose]: async () => undefined,
    });
  },
};
