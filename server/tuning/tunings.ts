/** The ways of tuning, and what the rest of the program asks of one without running it: this loads no engine. */
import type { z } from "zod";
import { PpoConfig } from "./ppo-config.ts";

/** One a way of tuning, told apart by `kind`. */
const schemas = { ppo: PpoConfig };
type Configs = { readonly [K in keyof typeof schemas]: z.infer<(typeof schemas)[K]> };

export type TuningKind = keyof Configs;
/** Settings of a way of tuning. */
export type Tuning<K extends TuningKind = TuningKind> = { [P in K]: { readonly kind: P } & Configs[P] }[K];

/** The settings of every way of tuning: sections of an experiment file. */
export const tuningSchemas = [schemas.ppo] as const satisfies readonly (typeof schemas)[TuningKind][];

/** What is known of a tuning before it runs. */
export interface TuningFacts {
  /** For the head of a report. */
  readonly inWords: string;
  /** The fewest texts that it can learn from, and the field that says so. */
  readonly fewestTexts: { readonly field: string; readonly count: number };
  readonly steps: number;
  /** That it samples, all steps together. */
  readonly completions: number;
}

const facts: { readonly [K in TuningKind]: (tuning: Tuning<K>) => TuningFacts } = {
  ppo: ({ kl, steps, batchSize, learningRate }) => {
    const penalty =
      kl.mode === "fixed"
        ? `a KL penalty of ${kl.coefficient}`
        : `a KL penalty from ${kl.coefficient} towards ${kl.target} nats a completion`;
    return {
      inWords: `PPO, ${steps} steps of ${batchSize} completions, learning rate ${learningRate}, ${penalty}`,
      fewestTexts: { field: "batchSize", count: batchSize },
      steps,
      completions: steps * batchSize,
    };
  },
};

const shortened: { readonly [K in TuningKind]: (tuning: Tuning<K>, steps: number) => Tuning<K> } = {
  ppo: (tuning, steps) => ({ ...tuning, steps, warmupSteps: Math.min(tuning.warmupSteps, steps - 1) }),
};

export function factsOfTuning<K extends TuningKind>(tuning: Tuning<K>): TuningFacts {
  return facts[tuning.kind](tuning);
}

/** The same tuning with another number of steps, at least one. */
export function withSteps<K extends TuningKind>(tuning: Tuning<K>, steps: number): Tuning<K> {
  return shortened[tuning.kind](tuning, steps);
}
