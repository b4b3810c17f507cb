/** The sweep file: a base experiment and what varies over its runs. */
import { z } from "zod";
import { LfpError } from "../../common/errors.ts";
import { type ExperimentIssue, issueLines } from "../experiment/issues.ts";
import { isObject, type Json } from "../experiment/merge.ts";
import { runName } from "../experiment/schema.ts";
import { MOST_RUNS } from "./manifest.ts";

const seed = z.int().min(0).max(0xffff_ffff);
const assignment = z.record(z.string(), z.json());

export const sweepFields = z.strictObject({
  name: z
    .string()
    .regex(runName, { error: "lower-case letters, digits and hyphens, 64 at most, no hyphen first" })
    .optional()
    .describe("Name of the sweep's folder; by default the file's name without its ending."),
  base: z
    .union([z.string().min(1), z.record(z.string(), z.json())])
    .describe(
      "The experiment that every run starts from: a preset, the path of an experiment file (relative to this one), or an experiment written here.",
    ),
  seeds: z
    .union([z.int().min(1).max(MOST_RUNS), z.array(seed).min(1).max(MOST_RUNS)])
    .optional()
    .describe("Seeds of the runs: how many, counted from 1, or which ones. By default the base's seed."),
  grid: z
    .record(z.string(), z.array(z.json()).min(1).max(MOST_RUNS))
    .optional()
    .describe("Values by field, such as tuning.kl.target; every combination of them becomes a run for each seed."),
  list: z
    .array(assignment)
    .min(1)
    .max(MOST_RUNS)
    .optional()
    .describe("Combinations of values by field, such as tuning.kl.target; each becomes a run for each seed."),
});

/** A sweep file whose members are consistent with one another. */
export const sweepSchema = sweepFields.superRefine((sweep, context) => {
  const complain = (path: readonly PropertyKey[], message: string): void => {
    context.addIssue({ code: "custom", path: [...path], message });
  };
  const { seeds, grid, list } = sweep;
  if (seeds === undefined && grid === undefined && list === undefined)
    complain([], "varies nothing: give seeds, grid or list");
  if (grid !== undefined && list !== undefined) complain(["list"], "stands beside grid: leave one of the two out");
  if (typeof seeds === "object" && new Set(seeds).size < seeds.length) complain(["seeds"], "has a seed twice");
  complainOfFields(grid ?? {}, ["grid"], complain);
  for (const [at, one] of (list ?? []).entries()) complainOfFields(one, ["list", at], complain);
});

/** The contents of a sweep file. */
export type SweepFile = z.output<typeof sweepSchema>;
/** Values by field. */
export type Assignment = z.output<typeof assignment>;

/** Fields that a sweep sets itself, with what to do instead. */
const ownFields: Readonly<Record<string, string>> = {
  seed: "give the runs' seeds in seeds",
  name: "the sweep names its runs itself",
};

function complainOfFields(
  given: Readonly<Record<string, Json>>,
  place: readonly PropertyKey[],
  complain: (path: readonly PropertyKey[], message: string) => void,
): void {
  const fields = Object.keys(given);
  for (const field of fields) {
    const instead = Object.hasOwn(ownFields, field) ? ownFields[field] : undefined;
    if (instead !== undefined) complain([...place, field], `cannot be varied here: ${instead}`);
    if (field.split(".").some((key) => key === "" || key === "__proto__"))
      complain([...place, field], "is no field: expected names joined by dots, such as tuning.kl.target");
    const inside = fields.find((other) => other.startsWith(`${field}.`));
    if (inside !== undefined) complain([...place, inside], `lies inside ${field}, which is varied too`);
  }
}

/** A copy of an experiment file's contents with a field set; objects on the way are made where they are missing. */
export function withField(file: Json | undefined, [key = "", ...rest]: readonly string[], value: Json): Json {
  const members = isObject(file) ? file : {};
  const inner = Object.hasOwn(members, key) ? members[key] : undefined;
  return { ...members, [key]: rest.length === 0 ? value : withField(inner, rest, value) };
}

/** A sweep cannot be run as it is written. The message names every place that is wrong, up to twenty. */
export class SweepError extends LfpError {
  readonly code = "usage";
  readonly issues: readonly ExperimentIssue[];

  constructor(name: string, issues: readonly ExperimentIssue[]) {
    super(
      `${name} is no sweep that can be run:${issueLines(issues, "the sweep")}\nSweeps are described in docs/sweep.md.`,
    );
    this.issues = issues;
  }
}
