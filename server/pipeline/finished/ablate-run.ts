/** Measures ablations of a finished run and saves them in its store. */
import type { AblationResult } from "../../ablate/result.ts";
import { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import { canonicalDigest } from "../../runs/canonical-json.ts";
import { runPaths } from "../../runs/run-folder.ts";
import type { FeatureStore } from "../../store/store.ts";
import { effectsOf } from "../ablation/effects.ts";
import { ablationPaths } from "../ablation/inputs.ts";
import { AblationBench, type MeasureOptions } from "../ablation/measure.ts";
import { openAblation } from "../ablation/open.ts";
import { requireWords, rewardSettingsOf } from "../experiment/feedback-settings.ts";
import { loadExperiment } from "../experiment/resolve.ts";
import { completionSettingsOf } from "../experiment/tuning-settings.ts";

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
 * Measures an ablation and adds it to the store. Throws what `ablationPaths` throws, `AblationSetError`, `PairTaskError`,
 * `ReadOnlyStoreError`, and the signal's reason.
 */
export async function ablateRun(options: AblateRunOptions): Promise<AblationResult> {
  const { folder, device, store, prompts, seed: given, features, draws, completions } = options;
  store.requireWritable();
  const experiment = await loadExperiment(runPaths(folder).experiment);
  requireWords(experiment);
  const seed = given ?? experiment.seed;
  const settings = {
    ...completionSettingsOf(experiment),
    reward: rewardSettingsOf(experiment),
    contextLength: experiment.sae.contextLength,
    multiToken: experiment.probe.multiToken,
    prompts,
  };
  const paths = await ablationPaths(folder, experiment);
  const sizes = new Set(features.flatMap(({ id }) => parseFeatureId(id)?.size ?? []));
  const { guardOpening = (open) => open() } = options;
  const random = Random.fromSeed(seed).fork("prompts");
  await using subject = await guardOpening(() => openAblation(device, paths, settings, sizes, random));
  const bench = await AblationBench.open(subject);
  const result = await bench.measure({ ...options, seed });
  await bench.dispose();
  const key = canonicalDigest({ features, prompts, completions, draws, seed, source: store.meta("source") ?? "" });
  store.addAblations([{ key, result, effects: effectsOf(result) }], false);
  return result;
}
