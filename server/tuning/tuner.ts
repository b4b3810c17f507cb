/** The interface of a tuner, for every kind of tuning: its input, its steps, its checkpoints. */
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import type { LoadedModel } from "../models/checkpoint.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Measure } from "../protocol/measures.ts";
import type { Reward } from "../rewards/reward.ts";
import type { Checkpoint, CheckpointContent, Metrics } from "../runs/stage.ts";
import type { PreferencePair } from "./preference-tokens.ts";
import type { CompletionConfig } from "./sampling-config.ts";

/** Input of every tuner. The caller frees the reward, and by closing the device all models. */
export interface TunerInput extends CompletionConfig {
  readonly device: Device;
  /** The model before tuning, never changed. */
  readonly reference: LoadedModel;
  /** The same model with weights of its own, to be trained in place; a tuner that trains adapters does without. */
  readonly loadPolicy: () => Promise<LoadedModel>;
  readonly tokenizer: Tokenizer;
  /** Texts to tune on; empty where the data are pairs. */
  readonly texts: readonly string[];
  /** Pairs of answers to tune on; empty where the data are texts. */
  readonly pairs: readonly PreferencePair[];
  readonly reward: Reward;
  /** Parent generator: only forked, never drawn from; streams that advance are part of a tuner's state. */
  readonly random: Random;
  /** Aborts long waits, which then throw the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Awaited after every part of the work before the first step. `capture` gives a checkpoint to go on from there; it
   * throws to stop.
   */
  readonly onPrepared?: (progress: PreparationProgress, capture: () => CheckpointContent) => Promise<void>;
}

/** How much of the work before the first step is done: `done` of `total` of `unit`, such as pairs. */
export interface PreparationProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: string;
}

/** Result of a step. */
export interface TunerStep {
  /**
   * Metrics that depend only on seed, data and device: a resumed tuning gives the same ones. Those of
   * `Tuner.measures` are among them.
   */
  readonly metrics: Metrics;
  /** Texts for display, by label. */
  readonly shown: Readonly<Record<string, string>>;
}

/** A tuning in progress. Disposing it frees what it allocated on the device. */
export interface Tuner extends AsyncDisposable {
  /** Measures that its steps log, in the order of display. */
  readonly measures: readonly Measure[];
  readonly steps: number;
  /** Number of steps done, including restored ones. */
  readonly done: number;
  /**
   * Takes one step. After any error the tuner refuses to step, to be saved and to be captured, so that the last good
   * state stays the saved one.
   */
  step(): Promise<TunerStep>;
  /**
   * The complete state: a tuner with the same input and settings resumes from it bit for bit. Read its files before
   * the next step.
   */
  capture(): CheckpointContent;
  /** Saves the tuned model as a Hugging Face checkpoint. */
  save(folder: string): Promise<void>;
}

/** Opens a tuner of each kind, afresh or from a checkpoint that it captured. */
export type TunerTable<Kinds> = {
  readonly [K in keyof Kinds]: (input: TunerInput, config: Kinds[K], saved?: Checkpoint) => Promise<Tuner>;
};
