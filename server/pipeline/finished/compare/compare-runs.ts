/** Runs side by side: settings that differ, and each headline figure within a run and between seeds. */
import { basename, dirname, join } from "node:path";
import type { ComparedRun, Finding, RunComparison, SeedsFigure } from "../../../protocol/comparison.ts";
import { studentInterval } from "../../../statistics/student-interval.ts";
import { headlines } from "../../artifacts/headlines.ts";
import { incomparable, missingOf } from "./comparable.ts";
import { type ReadRun, readRun } from "./read-run.ts";
import { differingKnown, differingSettings, flatSettings, repeatedDigest } from "./settings.ts";

/**
 * Compares runs by their folders, in this order. Unfinished runs, damaged ones and runs of other tasks take part with
 * what they have; `missing` and `notes` say what they lack.
 */
export async function compareRuns(folders: readonly string[]): Promise<RunComparison> {
  const runs = await Promise.all(folders.map(readRun));
  const names = namesOf(folders);
  const settings = [
    ...differingSettings(runs.map(({ experiment }) => experiment && flatSettings(experiment))),
    ...differingKnown(
      "run.version",
      runs.map(({ record }) => record?.versions["lfp-lens"]),
    ),
    ...differingKnown(
      "run.device",
      runs.map(({ record }) => record?.deviceClass),
    ),
  ];
  const seedGroups = groupsOf(runs);
  return {
    runs: runs.map((run, at): ComparedRun => {
      const { folder, record, experiment, state } = run;
      const seed = experiment?.seed ?? record?.seed ?? null;
      return { folder, name: names[at] ?? folder, seed, state, missing: missingOf(run, runs) };
    }),
    seedGroups,
    settings: settings.map(({ name, values }) => ({ name, values: [...values] })),
    findings: findingsOf(runs, seedGroups),
    notes: incomparable(runs, names, settings),
  };
}

/** The figures that at least one run has, in the order of the table of headlines. */
function findingsOf(runs: readonly ReadRun[], seedGroups: readonly (readonly number[])[]): Finding[] {
  return headlines.flatMap(({ id, name, unit, better }) => {
    const values = runs.map(({ figures }) => figures[id] ?? null);
    if (values.every((value) => value === null)) return [];
    const overSeeds = seedGroups.map((group): SeedsFigure | null => {
      const known = group.flatMap((at) => values[at]?.value ?? []);
      return known.length < 2 ? null : studentInterval(known);
    });
    return [{ id, name, unit, better, values, overSeeds }];
  });
}

/** Groups of runs that differ by seed alone, two or more each. */
function groupsOf(runs: readonly ReadRun[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [at, { experiment }] of runs.entries()) {
    if (experiment === undefined) continue;
    const digest = repeatedDigest(experiment);
    groups.set(digest, [...(groups.get(digest) ?? []), at]);
  }
  const seedsOf = (group: readonly number[]): number => new Set(group.map((at) => runs[at]?.experiment?.seed)).size;
  return [...groups.values()].filter((group) => group.length > 1 && seedsOf(group) === group.length);
}

/** Names that tell folders apart: the last part of each path, or as many parts as it takes. */
function namesOf(folders: readonly string[]): string[] {
  const own = folders.map((folder) => basename(folder));
  const longer = folders.map((folder) => join(basename(dirname(folder)), basename(folder)));
  const isUnique = (names: readonly string[]): boolean => new Set(names).size === names.length;
  return isUnique(own) ? own : isUnique(longer) ? longer : [...folders];
}
