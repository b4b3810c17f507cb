/** Runs side by side: what `lfp compare` prints and the editor's page *Compare* shows. */
import * as z from "zod";
import { defineRequest } from "./message.ts";

/** A figure of one run with its 95 % interval within that run, where it has one. */
export const RunFigure = z.object({ value: z.number(), low: z.number().nullable(), high: z.number().nullable() });
export type RunFigure = z.infer<typeof RunFigure>;

/** A figure over runs that differ by their seed alone: mean, standard deviation and 95 % interval between seeds. */
export const SeedsFigure = z.object({
  count: z.int(),
  mean: z.number(),
  sd: z.number(),
  low: z.number(),
  high: z.number(),
});
export type SeedsFigure = z.infer<typeof SeedsFigure>;

export const ComparedRun = z.object({
  folder: z.string(),
  /** The folder's name, with as much of its path as tells it from the other runs. */
  name: z.string(),
  seed: z.number().nullable(),
  /** How it stands, in words. */
  state: z.string(),
  /** What the comparison lacks of it, a sentence each; empty if it has all that another run has. */
  missing: z.array(z.string()),
});
export type ComparedRun = z.infer<typeof ComparedRun>;

export const Finding = z.object({
  id: z.string(),
  name: z.string(),
  /** Empty for plain numbers and for rewards, which are in the feedback's own units. */
  unit: z.string(),
  better: z.enum(["higher", "lower"]).nullable(),
  /** One a run; null where the run has none. */
  values: z.array(RunFigure.nullable()),
  /** One a group of seeds; null where fewer than two of its runs have the figure. */
  overSeeds: z.array(SeedsFigure.nullable()),
});
export type Finding = z.infer<typeof Finding>;

export const RunComparison = z.object({
  runs: z.array(ComparedRun),
  /** Runs whose experiments are equal but for seed and name, as indices: the groups of two or more. */
  seedGroups: z.array(z.array(z.int()).min(2)),
  /** Settings that differ, by their path in the experiment; values as JSON, strings plain, null where a run lacks it. */
  settings: z.array(z.object({ name: z.string(), values: z.array(z.string().nullable()) })),
  /** The figures that at least one run has. */
  findings: z.array(Finding),
  /** What to know before comparing, a sentence each. */
  notes: z.array(z.string()),
});
export type RunComparison = z.infer<typeof RunComparison>;

/** Maximum number of runs that the editor compares. */
export const MOST_COMPARED = 50;

/** Compares runs by their folders, in this order; with the comparison as files. */
export const CompareRuns = defineRequest(
  "lfp/compareRuns",
  z.object({ folders: z.array(z.string().max(4096)).min(2).max(MOST_COMPARED) }),
  z.object({ comparison: RunComparison, csv: z.string(), markdown: z.string() }),
);
