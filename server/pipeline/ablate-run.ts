/** Measures ablations of a finished run and keeps them in its store. */
import { join } from "node:path";
import type { AblationResult } from "../ablate/result.ts";
import { LfpError } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { resolveReference } from "../models/open.ts";
import type { FeatureStore } from "../store/store.ts";
import { effectsOf } from "./ablation/effects.ts";
import { AblationBench, type MeasureOptions } from "./ablation/measure.ts";
import { type AblationPaths, openAblation } from "./ablation/open.ts";
import { canonicalDigest } from "./canonical-json.ts";
import { loadExperiment } from "./experiment/resolve.ts";
import { type Experiment, ppoConfigOf } from "./experiment/schema.ts";
import { readRecord, runPaths } from "./run-folder.ts";

/** The run has not come far enough. */
export class UnfinishedRunError extends LfpError {
  readonly code = "not-found";

  constructor(folder: string, stage: string) {
    super(`${folder} has no output of stage ${stage} yet: finish it with \`lfp run\``);
  }
}

export interface AblateRunOptions extends Omit<MeasureOptions, "bare" | "seed"> {
  /** Absolute. */
  readonly folder: string;
  readonly device: Device;
  readonly store: FeatureStore;
  /** Held-out prompts, at most. */
  readonly prompts: number;
  /** Null: the run's. */
  readonly seed: number | null;
}

/** Throws `UnfinishedRunError`, `AblationSetError`, and the signal's reason. */
export async function ablateRun(options: AblateRunOptions): Promise<AblationResult> {
  const { folder, device, store, prompts, seed: given, features, draws } = options;
  const experiment = await loadExperiment(runPaths(folder).experiment);
  const seed = given ?? experiment.seed;
  const settings = {
    ppo: ppoConfigOf(experiment),
    reward: { kind: experiment.reward.kind, lexicon: experiment.reward.lexicon },
    contextLength: experiment.sae.contextLength,
    prompts,
  };
  const paths = await pathsOf(folder, experiment);
  const subject = await openAblation(device, paths, settings, Random.fromSeed(seed).fork("prompts"));
  const bench = await AblationBench.open(subject);
  const result = await bench.measure({ ...options, seed });
  await bench.dispose();
  const key = canonicalDigest({ features, prompts, draws, seed, source: store.meta("source") ?? "" });
  store.addAblations([{ key, result, effects: effectsOf(result) }], false);
  return result;
}

async function pathsOf(folder: string, experiment: Experiment): Promise<AblationPaths> {
  const record = await readRecord(folder);
  const output = (id: string): string => {
    const path = record?.stages.find((stage) => stage.id === id)?.output;
    if (path === undefined) throw new UnfinishedRunError(folder, id);
    return join(folder, path);
  };
  const local = { download: false } as const;
  const { folder: model } = await resolveReference(experiment.model, local);
  return {
    model,
    tuned: experiment.tuned === null ? output("tune") : (await resolveReference(experiment.tuned, local)).folder,
    texts: output("prepare"),
    saes: output("autoencoders"),
    probe: output("probe"),
    triples: output("triples"),
  };
}
