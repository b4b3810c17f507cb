/** From a sweep file to its runs. */
import { basename, dirname, resolve } from "node:path";
import { slug } from "../../protocol/slug.ts";
import { canonicalDigest } from "../../runs/canonical-json.ts";
import { ExperimentError, type ExperimentIssue, issueAt, issuesOf, MOST_ISSUES } from "../experiment/issues.ts";
import { isObject, type Json, type JsonObject } from "../experiment/merge.ts";
import { presetNames } from "../experiment/presets.ts";
import { ExperimentFileError, experimentText, objectOf, parseExperiment } from "../experiment/resolve.ts";
import type { Experiment } from "../experiment/schema.ts";
import { sweepKeysAt } from "./json-schema.ts";
import { MOST_RUNS } from "./manifest.ts";
import { type Assignment, SweepError, type SweepFile, sweepSchema, withField } from "./schema.ts";

/** A run of a sweep, before it has a folder. */
export interface SweepRun {
  /** In words, for its folder: what differs from other runs. */
  readonly words: string;
  /** What the sweep sets in the base, with `seed` first where the sweep gives seeds. */
  readonly settings: Assignment;
  readonly experiment: Experiment;
  /** Digest of the experiment without its name and its leave to download: equal ones are the same run. */
  readonly digest: string;
}

/** A sweep with its runs: every combination once with the first seed, then with the second, and so on. */
export interface Sweep {
  readonly name: string;
  readonly runs: readonly SweepRun[];
}

/** Reads a sweep file. Throws `SweepError`, and `ExperimentFileError` when it cannot be read. */
export async function loadSweep(path: string): Promise<Sweep> {
  const folder = dirname(resolve(path));
  const stem = slug(basename(path).replace(/(\.lfp-sweep)?\.json$/, "")).slice(0, 64);
  return await parseSweep(
    await experimentText(path, "a sweep file (docs/sweep.md), or the folder of a sweep that there is"),
    { name: path, folder, stem: stem === "" ? "sweep" : stem },
  );
}

export interface ParseSweepOptions {
  /** Name of the file in messages. */
  readonly name: string;
  /** The folder that relative paths start from. */
  readonly folder: string;
  /** The sweep's name where the file gives none. */
  readonly stem: string;
}

/** The sweep of a file's text. Reads the base experiment's file. Throws `SweepError` naming every error. */
export async function parseSweep(source: string | object, options: ParseSweepOptions): Promise<Sweep> {
  const { $schema, ...given } = sweepObject(source, options.name);
  const { data: file, error } = sweepSchema.safeParse(given);
  if (file === undefined) throw new SweepError(options.name, issuesOf(error, given, sweepKeysAt));
  const base = await baseOf(file, options);
  const combinations = combinationsOf(file);
  const count = combinations.length * seedsOf(file).length;
  if (count > MOST_RUNS) {
    const message = `makes ${count} runs of all combinations and seeds; expected ${MOST_RUNS} at most`;
    throw new SweepError(options.name, [issueAt([], message, "rule")]);
  }
  return {
    name: file.name ?? options.stem,
    runs: runsOf(base, { file, combinations, seeds: seedsOf(file) }, options.name),
  };
}

/**
 * What is wrong with a sweep, as far as single values show it: tries every value once, and not every combination, so that
 * an editor can ask at every change. Throws what `parseSweep` throws when it finds something.
 */
export async function checkSweep(source: string | object, options: ParseSweepOptions): Promise<void> {
  const { $schema, ...given } = sweepObject(source, options.name);
  const { data: file, error } = sweepSchema.safeParse(given);
  if (file === undefined) throw new SweepError(options.name, issuesOf(error, given, sweepKeysAt));
  const combinations = eachValueOf(file).slice(0, MOST_TRIED);
  runsOf(await baseOf(file, options), { file, combinations, seeds: seedsOf(file).slice(0, 1) }, options.name);
}

/** Maximum number of experiments that an editor's check tries. */
const MOST_TRIED = 100;

function sweepObject(source: string | object, name: string): JsonObject {
  try {
    return objectOf(source, name);
  } catch (error) {
    throw error instanceof ExperimentError ? new SweepError(name, error.issues) : error;
  }
}

/** The base experiment as it is written, and the folder that its relative paths start from. */
interface Base {
  readonly file: JsonObject;
  readonly folder: string;
  /** Its path in the sweep's issues: an inline experiment has members there. */
  readonly isInline: boolean;
}

async function baseOf({ base }: SweepFile, { name, folder }: ParseSweepOptions): Promise<Base> {
  if (typeof base !== "string") return { file: base, folder, isInline: true };
  if (presetNames.some((preset) => preset === base)) return { file: { preset: base }, folder, isInline: false };
  const path = resolve(folder, base);
  try {
    return { file: objectOf(await experimentText(path), path), folder: dirname(path), isInline: false };
  } catch (error) {
    if (error instanceof ExperimentFileError) throw new SweepError(name, [issueAt(["base"], error.message, "rule")]);
    if (!(error instanceof ExperimentError)) throw error;
    throw new SweepError(
      name,
      error.issues.map((issue) => inBase(issue, { file: {}, folder, isInline: false }, path)),
    );
  }
}

function inBase({ keys, path, message, kind }: ExperimentIssue, { isInline }: Base, name: string): ExperimentIssue {
  if (isInline) return issueAt(["base", ...keys], message, kind);
  return issueAt(["base"], `${name}: ${path === "" ? "" : `${path}: `}${message}`, "rule");
}

/** A combination of values, each with its place in the sweep's file. */
type Combination = readonly { readonly field: string; readonly value: Json; readonly place: readonly PropertyKey[] }[];

function combinationsOf({ grid = {}, list }: SweepFile): Combination[] {
  if (list !== undefined) {
    return list.map((one, at) =>
      Object.entries(one).map(([field, value]) => ({ field, value, place: ["list", at, field] })),
    );
  }
  let combinations: Combination[] = [[]];
  for (const [field, values] of Object.entries(grid)) {
    combinations = combinations.flatMap((before) =>
      values.map((value, at) => [...before, { field, value, place: ["grid", field, at] }]),
    );
    // Refused by whoever counts them; no need to build them all.
    if (combinations.length > MOST_RUNS) break;
  }
  return combinations;
}

/** Combinations in which every value stands once, beside the first value of each other field. */
function eachValueOf({ grid, list }: SweepFile): Combination[] {
  if (list !== undefined || grid === undefined) return combinationsOf({ base: "", grid, list });
  const fields = Object.entries(grid).map(([field, values]) =>
    values.map((value, at) => ({ field, value, place: ["grid", field, at] })),
  );
  const first = fields.flatMap((values) => values.slice(0, 1));
  const others = fields.flatMap((values, at) =>
    values.slice(1).map((value) => first.map((one, other) => (other === at ? value : one))),
  );
  return [first, ...others];
}

/** The seeds of a sweep; one undefined seed where the base's holds. */
function seedsOf({ seeds }: SweepFile): readonly (number | undefined)[] {
  if (seeds === undefined) return [undefined];
  return typeof seeds === "number" ? Array.from({ length: seeds }, (_, at) => at + 1) : seeds;
}

/** Which runs are made of a sweep's file. */
interface Asked {
  readonly file: SweepFile;
  readonly combinations: readonly Combination[];
  readonly seeds: readonly (number | undefined)[];
}

function runsOf(base: Base, { file, combinations, seeds }: Asked, name: string): SweepRun[] {
  const issues = new Map<string, ExperimentIssue>();
  const ownIssues = new Set(issuesOfExperiment(base.file, base.folder).issues.map(textOf));
  const told = fieldsToName(combinations);
  const runs: SweepRun[] = [];
  const firstPlaces = new Map<string, string>();
  for (const seed of seeds) {
    for (const combination of combinations) {
      let written: Json = base.file;
      for (const { field, value } of combination) written = withField(written, field.split("."), value);
      if (seed !== undefined) written = withField(written, ["seed"], seed);
      const { experiment, issues: found } = issuesOfExperiment(written, base.folder);
      for (const issue of found) {
        const here = placeOf(issue, { combination, base, isBases: ownIssues.has(textOf(issue)), name: baseName(file) });
        if (issues.size < MOST_ISSUES) issues.set(textOf(here), here);
      }
      if (experiment === undefined) continue;
      const run = sweepRun(experiment, combination, seed, told);
      const words = placeText(combination);
      const twin = firstPlaces.get(run.digest);
      if (twin !== undefined) {
        const twice = issueAt(combination[0]?.place ?? [], `makes the same run as ${twin}: leave one out`, "rule");
        issues.set(textOf(twice), twice);
      }
      firstPlaces.set(run.digest, words);
      runs.push(run);
    }
  }
  if (issues.size > 0) throw new SweepError(name, [...issues.values()]);
  return runs;
}

function baseName({ base }: SweepFile): string {
  return typeof base === "string" ? base : "base";
}

function textOf({ path, message }: ExperimentIssue): string {
  return `${path}: ${message}`;
}

function issuesOfExperiment(
  file: Json,
  folder: string,
): { readonly experiment: Experiment | undefined; readonly issues: readonly ExperimentIssue[] } {
  try {
    return { experiment: parseExperiment(Object(file), { folder }), issues: [] };
  } catch (error) {
    if (error instanceof ExperimentError) return { experiment: undefined, issues: error.issues };
    throw error;
  }
}

/** The issue of a run's experiment at the place of the sweep's file that it comes from. */
function placeOf(
  issue: ExperimentIssue,
  from: { readonly combination: Combination; readonly base: Base; readonly isBases: boolean; readonly name: string },
): ExperimentIssue {
  const { combination, base, isBases, name } = from;
  const set = combination.find(({ field }) => {
    const [own, other] = [`${field}.`, `${issue.keys.map(String).join(".")}.`];
    return own.startsWith(other) || other.startsWith(own);
  });
  if (set !== undefined) {
    const inside = issue.keys.slice(set.field.split(".").length);
    const message = inside.length === 0 ? issue.message : `${inside.map(String).join(".")}: ${issue.message}`;
    return issueAt(set.place, message, issue.kind);
  }
  const [first] = combination;
  if (isBases || first === undefined) return inBase(issue, base, name);
  // A rule between fields: a value in the same section is the likeliest cause.
  const near = combination.filter(({ field }) => field.split(".")[0] === issue.keys[0]);
  const [cause] = near;
  const place =
    near.length === 1 && cause !== undefined ? cause.place : first.place.slice(0, first.place[0] === "list" ? 2 : 1);
  return issueAt(place, `with ${placeText(near.length > 0 ? near : combination)}: ${textOf(issue)}`, "rule");
}

/** A combination in words: `sae.k = 8, probe.alpha = 1`. */
function placeText(combination: Combination): string {
  const words = combination.map(({ field, value }) => `${field} = ${JSON.stringify(value).slice(0, 60)}`);
  return words.length === 0 ? "another seed" : words.join(", ");
}

function sweepRun(
  experiment: Experiment,
  combination: Combination,
  seed: number | undefined,
  told: ReadonlySet<string>,
): SweepRun {
  const { name: _, download: __, ...content } = experiment;
  const settings: Assignment = {
    ...(seed === undefined ? {} : { seed }),
    ...Object.fromEntries(combination.map(({ field, value }) => [field, value])),
  };
  const parts = combination.filter(({ field }) => told.has(field)).map(({ field, value }) => inWords(field, value));
  const words = [...(seed === undefined ? [] : [`seed${seed}`]), ...parts].join("-");
  return { words: slug(words === "" ? "run" : words), settings, experiment, digest: canonicalDigest(content) };
}

/** Fields that names of runs tell: those that differ between combinations. */
function fieldsToName(combinations: readonly Combination[]): Set<string> {
  const values = new Map<string, Set<string>>();
  for (const combination of combinations) {
    for (const { field, value } of combination) {
      const known = values.get(field) ?? new Set();
      values.set(field, known.add(JSON.stringify(value)));
    }
  }
  const differs = ([field, known]: [string, Set<string>]): boolean =>
    known.size > 1 || combinations.some((combination) => !combination.some((one) => one.field === field));
  return new Set([...values].filter(differs).map(([field]) => field));
}

function inWords(field: string, value: Json): string {
  const shown = isObject(value) ? (value["kind"] ?? JSON.stringify(value)) : value;
  const text = typeof shown === "string" ? shown : JSON.stringify(shown).replaceAll(/(?<![a-z0-9])-/gi, "minus");
  return slug(`${field.split(".").at(-1)}-${text}`).slice(0, 24);
}
