/** Errors in an experiment, in sentences that name the place. */

import type { z } from "zod";
import { LfpError } from "../../common/errors.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import { isObject, type Json } from "./merge.ts";

/** One error. */
export interface ExperimentIssue {
  /** Such as `tuning.kl.target`; empty for the whole. */
  readonly path: string;
  readonly message: string;
  /** The same path as keys and indices. */
  readonly keys: readonly PropertyKey[];
  /** `rule`: what the JSON Schema of experiment files cannot say, such as how fields must fit one another. */
  readonly kind: "rule" | "shape";
}

/** An issue at a path. */
export function issueAt(
  keys: readonly PropertyKey[],
  message: string,
  kind: ExperimentIssue["kind"] = "shape",
): ExperimentIssue {
  return { path: pathText(keys), message, keys, kind };
}

/** Maximum number of issues: nobody fixes more at once, and finding the position of each takes time. */
export const MOST_ISSUES = 100;

/** Maximum number of places in a message. */
const MOST_NAMED = 20;

/** An experiment cannot be run as it is written. The message names every place that is wrong, up to twenty. */
export class ExperimentError extends LfpError {
  readonly code = "usage";
  readonly issues: readonly ExperimentIssue[];

  constructor(name: string, issues: readonly ExperimentIssue[]) {
    super(
      `${name} is no experiment that can be run:${issueLines(issues, "the experiment")}\nEvery field is described in docs/experiment.md.`,
    );
    this.issues = issues;
  }
}

/** The first issues, each on a line of its own; `whole` stands for the place of an issue without a path. */
export function issueLines(issues: readonly Pick<ExperimentIssue, "path" | "message">[], whole: string): string {
  const named = issues
    .slice(0, MOST_NAMED)
    .map(({ path, message }) => `\n  ${path === "" ? whole : visibleLine(path, 200)}: ${visibleLine(message, 1000)}`);
  const more = issues.length > MOST_NAMED ? "\n  and more that comes to light when these are mended" : "";
  return `${named.join("")}${more}`;
}

type ZodIssue = z.core.$ZodIssue;
/** Lists the keys that an object at a path may have; its value selects one of several shapes. */
type KeysAt = (path: readonly PropertyKey[], value: Json | undefined) => readonly string[];

/** Converts Zod's issues to ours; `given` is the validated value. */
export function issuesOf(error: z.core.$ZodError, given: Json, keysAt: KeysAt): ExperimentIssue[] {
  const found = error.issues.slice(0, MOST_ISSUES).flatMap((issue) => describe(issue, given, keysAt));
  // A section's rule can be reported twice: in the section, and where sections are compared with each other.
  return [...new Map(found.map((issue) => [`${issue.path}: ${issue.message}`, issue])).values()].slice(0, MOST_ISSUES);
}

function describe(issue: ZodIssue, given: Json, keysAt: KeysAt): ExperimentIssue[] {
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(issue.path, valueAt(given, issue.path)).filter((key) => key !== "$schema");
    const ofAnyShape = keysAt(issue.path, undefined);
    const advice = known.length > 0 ? `; there are ${known.join(", ")}` : "";
    const what = (key: string): string =>
      ofAnyShape.includes(key) ? "unknown key here, one of another kind" : "unknown key";
    return issue.keys.slice(0, MOST_ISSUES).map((key) => issueAt([...issue.path, key], `${what(key)}${advice}`));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const branches = issue.errors.map((errors) =>
      errors.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
    );
    const isOtherType = (errors: readonly ZodIssue[]): boolean =>
      errors.some((inner) => inner.path.length === issue.path.length && inner.code !== "unrecognized_keys");
    const strange = (errors: readonly ZodIssue[]): number =>
      errors.filter(({ code }) => code === "unrecognized_keys").length;
    const [nearest] = branches
      .filter((errors) => !isOtherType(errors))
      .toSorted((a, b) => strange(a) - strange(b) || a.length - b.length);
    if (nearest !== undefined) return nearest.flatMap((inner) => describe(inner, given, keysAt));
    const expected = [...new Set(branches.flat().map(expectation))].join(", or ");
    const keys = expected.endsWith("an object") ? keysAt(issue.path, valueAt(given, issue.path)) : [];
    const advice = keys.length > 0 ? ` (keys: ${keys.join(", ")})` : "";
    return [issueAt(issue.path, `${got(issue, given)}; expected ${expected}${advice}`)];
  }
  return issue.code === "custom"
    ? [issueAt(issue.path, `${issue.message}${gotIn(issue, given)}`, "rule")]
    : [issueAt(issue.path, `${got(issue, given)}; expected ${expectation(issue)}`)];
}

/** The expected value of an issue, as a phrase. */
function expectation(issue: ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return noun(issue.expected);
    case "invalid_value":
      return issue.values.length === 1
        ? JSON.stringify(issue.values[0])
        : `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "invalid_union": {
      const options = ("options" in issue ? issue.options : undefined) ?? [];
      return `one of ${options.map((value) => JSON.stringify(value)).join(", ")}`;
    }
    case "too_small":
      return bound(issue.origin, issue.inclusive === false ? "more than" : "at least", Number(issue.minimum));
    case "too_big":
      return bound(issue.origin, issue.inclusive === false ? "less than" : "at most", Number(issue.maximum));
    default:
      return issue.message;
  }
}

function bound(origin: string, comparison: string, limit: number): string {
  const things = { string: "character", array: "item" }[origin];
  return `${comparison} ${limit}${things === undefined ? "" : ` ${things}${limit === 1 ? "" : "s"}`}`;
}

function noun(type: string): string {
  if (type === "int") return "a whole number";
  if (type === "null") return "null";
  return `${/^[aeiou]/.test(type) ? "an" : "a"} ${type === "record" ? "object" : type}`;
}

function got(issue: ZodIssue, given: Json): string {
  const value = valueAt(given, issue.path);
  return value === undefined ? "is missing" : `got ${shown(value)}`;
}

/** The value that a rule between fields got; the rule's sentence states the expected one. */
function gotIn(issue: ZodIssue, given: Json): string {
  const value = valueAt(given, issue.path);
  return value === undefined || typeof value === "object" ? "" : ` (got ${shown(value)})`;
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function valueAt(value: Json | undefined, path: readonly PropertyKey[]): Json | undefined {
  let at = value;
  for (const key of path) {
    if (Array.isArray(at) && typeof key === "number") at = at[key];
    else if (isObject(at) && typeof key === "string" && Object.hasOwn(at, key)) at = at[key];
    else return undefined;
  }
  return at;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}
