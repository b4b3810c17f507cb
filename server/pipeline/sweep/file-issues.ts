/** Finds errors in the text of a sweep file, with their positions: for editors, in addition to their check by JSON Schema. */
import { z } from "zod";
import { isJson } from "../../common/json.ts";
import { placeIn } from "../../common/json-places.ts";
import { Pacer } from "../../common/pacer.ts";
import type { PlacedIssue } from "../experiment/file-issues.ts";
import type { ExperimentIssue } from "../experiment/issues.ts";
import { checkSweep } from "./expand.ts";
import { sweepJsonSchema } from "./json-schema.ts";
import { SweepError } from "./schema.ts";

export interface CheckSweepOptions {
  /** Base of relative paths. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/**
 * Checks the text of a sweep file; reads the base experiment's file. Omits issues that its JSON Schema reports, and all
 * issues if the text is not JSON. Throws the signal's reason.
 */
export async function checkSweepText(text: string, { folder, signal }: CheckSweepOptions): Promise<PlacedIssue[]> {
  if (!isJson(text)) return [];
  const issues = await issuesOfSweep(text, folder);
  const isValid = issues.length === 0 || fileSchema().safeParse(JSON.parse(text)).success;
  const pacer = new Pacer(signal);
  const found: PlacedIssue[] = [];
  for (const { keys, path, message, kind } of issues) {
    await pacer.pause();
    if (isValid || kind === "rule") found.push({ path, message, ...placeOf(text, keys) });
  }
  return found;
}

async function issuesOfSweep(text: string, folder: string): Promise<readonly ExperimentIssue[]> {
  try {
    await checkSweep(text, { name: "this", folder, stem: "sweep" });
    return [];
  } catch (error) {
    if (error instanceof SweepError) return error.issues;
    throw error;
  }
}

/** The place of a key, or of the nearest one around it; the text's beginning for the whole. */
function placeOf(text: string, keys: readonly PropertyKey[]): Pick<PlacedIssue, "start" | "end"> {
  for (let length = keys.length; length > 0; length--) {
    const place = placeIn(text, keys.slice(0, length));
    if (place !== undefined) return place;
  }
  return { start: 0, end: 1 };
}

/** Cached: compiling it takes longer than everything else here. */
let compiled: z.ZodType | undefined;
function fileSchema(): z.ZodType {
  compiled ??= z.fromJSONSchema(sweepJsonSchema());
  return compiled;
}
