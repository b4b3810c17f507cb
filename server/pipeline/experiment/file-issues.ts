/**
 * Finds errors in the text of an experiment file, with their positions: for editors, in addition to their check by JSON
 * Schema.
 */

import { z } from "zod";
import { isJson } from "../../common/json.ts";
import { type JsonPlace, placeIn } from "../../common/json-places.ts";
import { Pacer } from "../../common/pacer.ts";
import { ExperimentError, type ExperimentIssue } from "./issues.ts";
import { experimentJsonSchema } from "./json-schema.ts";
import { isObject, type Json, type JsonObject } from "./merge.ts";
import { parseExperiment } from "./resolve.ts";
import type { Experiment } from "./schema.ts";

/** An issue with the position of its key, in UTF-16 units of the text. */
export interface PlacedIssue extends JsonPlace {
  readonly path: string;
  readonly message: string;
}

export interface FileCheck {
  readonly issues: readonly PlacedIssue[];
  /** The experiment; undefined unless it can be run. */
  readonly experiment: Experiment | undefined;
}

/**
 * Checks the text of an experiment file. Omits issues that its JSON Schema reports, and all issues if the text is not
 * JSON. An issue about a field from the preset is placed at the key of the file that caused it. `folder` is the base of
 * relative paths.
 */
export async function checkExperimentText(text: string, options: CheckOptions = {}): Promise<FileCheck> {
  if (!isJson(text)) return { issues: [], experiment: undefined };
  const { issues, experiment } = tryExperiment(text, options.folder);
  if (experiment !== undefined) return { issues: [], experiment };
  const file: unknown = JSON.parse(text);
  const isTold = fileSchema().safeParse(file).success ? () => true : ({ kind }: ExperimentIssue) => kind === "rule";
  return { issues: await placed(text, Object(file), issues.filter(isTold), options.signal), experiment };
}

export interface CheckOptions {
  /** Base of relative paths. */
  readonly folder?: string | undefined;
  readonly signal?: AbortSignal;
}

/** Places each issue at its key, or at the nearest one in the file. Throws the signal's reason. */
export async function placed(
  text: string,
  file: JsonObject,
  issues: readonly ExperimentIssue[],
  signal?: AbortSignal,
): Promise<PlacedIssue[]> {
  const pacer = new Pacer(signal);
  const places: PlacedIssue[] = [];
  let causes: Causes | undefined;
  for (const { path, message, keys } of issues) {
    await pacer.pause();
    const parent = keys.length > 1 ? placeIn(text, keys.slice(0, -1)) : undefined;
    let place = placeIn(text, keys);
    if (place === undefined) {
      causes ??= await causesOf(file, pacer);
      place = placeIn(text, causes(path) ?? []) ?? parent ?? placeIn(text, ["preset"]);
    }
    places.push({ path, message, ...(place ?? { start: 0, end: 0 }) });
  }
  return places;
}

/** Cached: compiling it takes longer than everything else here. */
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

/** Path of the first member whose removal alone removes the issue at a path; undefined if there is none. */
type Causes = (path: string) => readonly string[] | undefined;

async function causesOf(file: JsonObject, pacer: Pacer): Promise<Causes> {
  const tried: { readonly leaf: readonly string[]; readonly wrong: ReadonlySet<string> }[] = [];
  for (const leaf of leavesOf(file).slice(0, MOST_CAUSES)) {
    await pacer.pause();
    tried.push({ leaf, wrong: new Set(tryExperiment(without(file, leaf)).issues.map(({ path }) => path)) });
  }
  return (path) => tried.find(({ wrong }) => !wrong.has(path))?.leaf;
}

/** Maximum number of members to try; a file with more was not written by a person. */
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
