/** A way of tuning, as everything outside of it sees one: what it is given, what a step does, what is saved. */
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import type { LoadedModel } from "../models/checkpoint.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Measure } from "../protocol/measures.ts";
import type { Reward } from "../rewards/reward.ts";
import type { Checkpoint, CheckpointContent, Metrics } from "../runs/stage.ts";
import type { CompletionConfig } from "./sampling-config.ts";

/** What every way of tuning is given. Models and reward are the caller's to free. */
export interface TunerInput extends CompletionConfig {
  readonly device: Device;
  /** Trained in place. */
  readonly policy: LoadedModel;
  /** The same model with weights of its own, never changed. */
  readonly reference: LoadedModel;
  readonly tokenizer: Tokenizer;
  /** Those to tune on. */
  readonly texts: readonly string[];
  readonly reward: Reward;
  /** Forked, never moved: streams that move are part of a tuner's state. */
  readonly random: Random;
  /** Ends waits that are long, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a step did. */
export interface TunerStep {
  /** Numbers that only the seed, the data and the device decide: a resumed tuning gives the same ones. Those of `Tuner.measures` are among them. */
  readonly metrics: Metrics;
  /** Texts to look at, by what they are. */
  readonly shown: Readonly<Record<string, string>>;
}

/** A tuning under way. Disposing it frees what it made on the device. */
export interface Tuner extends AsyncDisposable {
  /** What its steps log, in the order in which one looks at it. */
  readonly measures: readonly Measure[];
  readonly steps: number;
  /** Steps that are done, restored ones among them. */
  readonly done: number;
  /** Takes one step. After any error it refuses to step, to be saved and to be captured, so that what was saved before stays the last good one. */
  step(): Promise<TunerStep>;
  /** Everything that a tuner with the same input and settings needs to go on from here with the same bits. Its files are read before the next step. */
  capture(): CheckpointContent;
  /** Saves the tuned model as a Hugging Face checkpoint. */
  save(folder: string): Promise<void>;
}

/** How a tuning of each kind begins, or goes on from a checkpoint that it captured. */
export type TunerTable<Kinds> = {
  readonly [K in keyof Kinds]: (input: TunerInput, config: Kinds[K], saved?: Checkpoint) => Promise<Tuner>;
};
