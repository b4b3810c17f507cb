/** What is wrong in the text of an experiment file, at the places where it is written: for editors, beside their check by JSON Schema. */
import { z } from "zod";
import { isJson } from "../../common/json.ts";
import { type JsonPlace, placeIn } from "../../common/json-places.ts";
import { ExperimentError, type ExperimentIssue } from "./issues.ts";
import { experimentJsonSchema } from "./json-schema.ts";
import { isObject, type Json, type JsonObject } from "./merge.ts";
import { parseExperiment } from "./resolve.ts";
import type { Experiment } from "./schema.ts";

/** An issue with the key that it is about, in UTF-16 units of the text. */
export interface PlacedIssue extends JsonPlace {
  readonly path: string;
  readonly message: string;
}

export interface FileCheck {
  readonly issues: readonly PlacedIssue[];
  /** What the file asks for; undefined unless it can be run. */
  readonly experiment: Experiment | undefined;
}

/**
 * Checks the text of an experiment file. What its JSON Schema says of it is left out, and so is everything of a text that is no JSON. An
 * issue about a field that the preset gives stands at the key of the file that brought it about. `folder` is where relative paths start.
 */
export function checkExperimentText(text: string, folder?: string): FileCheck {
  if (!isJson(text)) return { issues: [], experiment: undefined };
  const { issues, experiment } = tryExperiment(text, folder);
  if (experiment !== undefined) return { issues: [], experiment };
  const file: unknown = JSON.parse(text);
  const isTold = fileSchema().safeParse(file).success ? () => true : ({ kind }: ExperimentIssue) => kind === "rule";
  return { issues: issues.filter(isTold).map((issue) => placed(text, Object(file), issue)), experiment };
}

/** The issue at the key that it is about, or at the nearest that the file has. */
export function placed(text: string, file: JsonObject, issue: ExperimentIssue): PlacedIssue {
  const { path, message, keys } = issue;
  const parent = keys.length > 1 ? placeIn(text, keys.slice(0, -1)) : undefined;
  const place = placeIn(text, keys) ?? placeIn(text, causeOf(issue, file) ?? []) ?? parent ?? placeIn(text, ["preset"]);
  return { path, message, ...(place ?? { start: 0, end: 0 }) };
}

/** Made once: it takes longer than all else here. */
let compiled: z.ZodType | undefined;
function fileSchema(): z.ZodType {
  compiled ??= z.fromJSONSchema(experimentJsonSchema());
  return compiled;
}

function tryExperiment(
  source: string | object,
  folder?: string,
): { readonly issues: readonly ExperimentIssue[]; readonly experiment: Experiment | undefined } {
  try {
    return { issues: [], experiment: parseExperiment(source, folder === undefined ? {} : { folder }) };
  } catch (error) {
    if (error instanceof ExperimentError) return { issues: error.issues, experiment: undefined };
    throw error;
  }
}

/** Path of the first member without which there would be no issue there; undefined where none alone is the cause. */
function causeOf({ path }: ExperimentIssue, file: JsonObject): readonly string[] | undefined {
  return leavesOf(file)
    .slice(0, MOST_CAUSES)
    .find((leaf) => tryExperiment(without(file, leaf)).issues.every((other) => other.path !== path));
}

/** A file that says more is not one that a person wrote; each is tried. */
const MOST_CAUSES = 200;

function leavesOf(value: Json | undefined, path: readonly string[] = []): (readonly string[])[] {
  if (!isObject(value)) return path[0] === "preset" ? [] : [path];
  return Object.entries(value).flatMap(([key, member]) => leavesOf(member, [...path, key]));
}

function without(file: JsonObject, [key = "", ...rest]: readonly string[]): JsonObject {
  const entries = Object.entries(file).flatMap(([name, value]): [string, Json][] => {
    if (name !== key) return [[name, value]];
    return rest.length > 0 && isObject(value) ? [[name, without(value, rest)]] : [];
  });
  return Object.fromEntries(entries);
}
