/** The ways of tuning, and what the rest of the program asks of one without running it: this loads no engine. */
import type { z } from "zod";
import { PpoConfig, ppoTuning } from "./ppo-config.ts";
import type { TuningFacts, TuningOf, TuningTable } from "./tuning-kind.ts";

/** The settings of every way of tuning, told apart by `kind`: what `tuning` of an experiment file may be. */
export const tuningSchemas = [PpoConfig] as const;

type Settings = z.infer<(typeof tuningSchemas)[number]>;
export type TuningKinds = { readonly [K in Settings["kind"]]: Extract<Settings, { readonly kind: K }> };
export type Tuning = TuningOf<TuningKinds>;

const tunings: TuningTable<TuningKinds> = {
  ppo: ppoTuning,
};

export function factsOfTuning(tuning: Tuning): TuningFacts {
  return tunings[tuning.kind].facts(tuning);
}

/** The same tuning with another number of steps, at least one. */
export function withSteps(tuning: Tuning, steps: number): Tuning {
  return tunings[tuning.kind].withSteps(tuning, steps);
}

/** A tuning's settings as they key what it makes. */
export function keyedSettings(tuning: Tuning): Readonly<Record<string, unknown>> {
  return tunings[tuning.kind].keyed(tuning);
}
