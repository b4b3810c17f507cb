import type { AblatedDictionary, AblationEdit } from "../../ablate/edit.ts";
import type { MeasuredPart } from "../../ablate/loss.ts";
import type { EffectFacts } from "../../ablate/result.ts";
import type { Device } from "../../engine/device.ts";
import type { Model } from "../../models/model.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { FeatureCollection } from "../../probe/collect.ts";
import type { LinearProbe } from "../../probe/linear-probe.ts";
import type { Reward } from "../../rewards/reward.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";
import type { Triple } from "../../tasks/task.ts";
import type { Prompt } from "../../tuning/prompts.ts";
import type { CompletionConfig } from "../../tuning/sampling-config.ts";

/** The parts of a run that an ablation is measured with, on one device. */
export interface AblationSubject {
  readonly device: Device;
  /** The tuned model. */
  readonly model: Model;
  /**
   * The base model, in whose outputs the same features are changed; its store's names differ from the tuned model's.
   */
  readonly base: Model;
  /** The tuned model's dictionaries whose features may be changed; `name` is `L4@small`. */
  readonly dictionaries: readonly AblatedDictionary[];
  /** Token ids of texts that the tuning has not seen, for the loss. */
  readonly texts: readonly Int32Array[];
  readonly contextTokens: number;
  /** What is known of an effect that is no reward. */
  readonly effect: EffectFacts | undefined;
  /** Compiles what measures the effect in one of the models, whose activations the edit changes. */
  meterOf(model: Model, edit: AblationEdit): Promise<EffectMeter>;
  /**
   * The probe's separations under the edit's current state; undefined where the probe reads no words. `collect` runs all
   * batches of a collection.
   */
  readonly separations: ((edit: AblationEdit, collect: CollectTriples) => Promise<number[]>) | undefined;
}

export type CollectTriples = (collection: FeatureCollection<string>) => Promise<void>;

/** Measures an effect under the current state of an edit. Dispose it after use. */
export interface EffectMeter {
  /** The units of work that give one number a prompt or pair. Meters of one subject on several devices have the same. */
  parts(options: EffectOptions): MeasuredPart[];
  dispose(): Promise<void>;
}

export interface EffectOptions {
  /** Index of the completion among those of every prompt, from 0. */
  readonly completion: number;
  readonly seed: number;
}

/** What rewards of completions are measured with. */
export interface RewardParts extends CompletionConfig {
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  readonly reward: Reward;
  /** Prompts from texts that the tuning has not seen. */
  readonly prompts: readonly Prompt[];
}

/** What the probe's separations are measured with. */
export interface SeparationParts {
  readonly device: Device;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** The dictionaries that the probe reads. */
  readonly probed: readonly AblatedDictionary[];
  /** The ratings, on whose scale the probe reads. */
  readonly ratings: WordRatings;
  readonly probe: LinearProbe;
  readonly multiToken: "average" | "firstPiece";
  /** Triples held out from the probe's fit. */
  readonly triples: readonly Triple[];
  readonly prefixIds: readonly number[];
}
