/** The interface of a kind of tuning, as far as it needs no running. */
import type { LoraConfig } from "./lora-config.ts";
import type { PreferenceSettings } from "./preference-settings.ts";

/** Facts about a tuning that are known before it runs. */
export interface TuningFacts {
  /** Summary for the head of a report. */
  readonly inWords: string;
  /** The least number of texts that it can learn from, and the field that requires it. */
  readonly fewestTexts: { readonly field: string; readonly count: number };
  readonly steps: number;
  /** Number of completions that it learns from, over all steps. */
  readonly completions: number;
  /** What it learns from: rewards of completions, or pairs of answers in the data. */
  readonly learnsFrom: "reward" | "pairs";
  /** How it scores a pair of answers; null if it scores none. */
  readonly preference: PreferenceSettings | null;
  /** What decides the memory of a step. */
  readonly memory: StepMemory;
}

export interface StepMemory {
  /** Null: gradients and moments of all weights. */
  readonly lora: LoraConfig;
  /** Number of texts whose activations are held at once, and the setting that lowers it. */
  readonly textsAtOnce: { readonly field: string; readonly count: number };
}

/** A kind of tuning whose settings are a `Config`. */
export interface TuningKind<Config> {
  facts(config: Config): TuningFacts;
  /** The same settings with another number of steps, at least one. */
  withSteps(config: Config, steps: number): Config;
  /** The settings as part of cache keys: with `kind`, except for the kind whose runs are older than `kind`. */
  keyed(config: Config): Readonly<Record<string, unknown>>;
}

export type TuningTable<Kinds> = { readonly [K in keyof Kinds]: TuningKind<Kinds[K]> };

/** Settings of a tuning, of one of some kinds. */
export type TuningOf<Kinds> = { readonly kind: keyof Kinds } & Kinds[keyof Kinds];
