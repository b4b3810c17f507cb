/** The table of kinds of tuning, as far as it needs no running: importing it loads no engine. */
import type { z } from "zod";
import { DpoConfig, dpoTuning } from "./dpo-config.ts";
import { PpoConfig, ppoTuning } from "./ppo-config.ts";
import type { TuningFacts, TuningKind, TuningOf, TuningTable } from "./tuning-kind.ts";

/** Schemas of the settings of every kind, discriminated by `kind`: what `tuning` of an experiment file may be. */
export const tuningSchemas = [PpoConfig, DpoConfig] as const;

type Settings = z.infer<(typeof tuningSchemas)[number]>;
export type TuningKinds = { readonly [K in Settings["kind"]]: Extract<Settings, { readonly kind: K }> };
export type Tuning = TuningOf<TuningKinds>;

const tunings: TuningTable<TuningKinds> = {
  ppo: ppoTuning,
  dpo: dpoTuning,
};

export function factsOfTuning(tuning: Tuning): TuningFacts {
  return paired(tuning.kind, tuning, (row, own) => row.facts(own));
}

/** The same tuning with another number of steps, at least one. */
export function withSteps(tuning: Tuning, steps: number): Tuning {
  return paired<keyof TuningKinds, Tuning>(tuning.kind, tuning, (row, own) => row.withSteps(own, steps));
}

/** A tuning's settings as part of cache keys. */
export function keyedSettings(tuning: Tuning): Readonly<Record<string, unknown>> {
  return paired(tuning.kind, tuning, (row, own) => row.keyed(own));
}

/** Passes settings to the row of their kind. */
function paired<K extends keyof TuningKinds, R>(
  kind: K,
  tuning: TuningKinds[K],
  use: (row: TuningKind<TuningKinds[K]>, tuning: TuningKinds[K]) => R,
): R {
  return use(tunings[kind], tuning);
}
