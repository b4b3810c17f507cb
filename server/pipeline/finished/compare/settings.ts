/** The settings in which experiments differ. */
import { canonicalDigest } from "../../../runs/canonical-json.ts";
import type { Experiment } from "../../experiment/schema.ts";

/** A setting with one value a run; null where the run has no such setting, or no experiment. */
export interface DifferingSetting {
  readonly name: string;
  readonly values: readonly (string | null)[];
}

/** Settings of a run by their path in the experiment (`tuning.kl.coefficient`); a list is one value. */
export type FlatSettings = ReadonlyMap<string, string>;

/** An experiment's settings by their paths, as JSON, strings plain; without its name. */
export function flatSettings({ name: _name, ...settings }: Experiment): FlatSettings {
  return new Map(leavesOf(settings, ""));
}

/** The settings that are not the same in all runs, in the order in which the runs have them. */
export function differingSettings(runs: readonly (FlatSettings | undefined)[]): DifferingSetting[] {
  const known = runs.filter((run) => run !== undefined);
  const names = new Set(known.flatMap((run) => [...run.keys()]));
  return [...names]
    .filter((name) => new Set(known.map((run) => run.get(name))).size > 1)
    .map((name) => ({ name, values: runs.map((run) => run?.get(name) ?? null) }));
}

/** What runs were computed by or on, if those of which it is known differ: other runs have null. */
export function differingKnown(name: string, values: readonly (string | undefined)[]): DifferingSetting[] {
  const known = new Set(values.filter((value) => value !== undefined));
  return known.size < 2 ? [] : [{ name, values: values.map((value) => value ?? null) }];
}

/** Digest of an experiment without what tells its repetitions apart: seed and name. */
export function repeatedDigest({ name: _name, seed: _seed, ...settings }: Experiment): string {
  return canonicalDigest(settings);
}

function leavesOf(value: unknown, path: string): [string, string][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.entries(value).flatMap(([name, part]) => leavesOf(part, path === "" ? name : `${path}.${name}`));
  if (value === undefined) return [];
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}
