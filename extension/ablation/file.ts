/** Parses and edits the text of ablation files. Independent of VS Code. */
import * as z from "zod";
import { AblationFile, AblationSet, type FeatureId, type RunIdentity } from "../../server/protocol/ablation.ts";

export type ParsedAblation =
  | { readonly ok: true; readonly set: AblationSet }
  | { readonly ok: false; readonly problem: string };

/** Parses a text into a set, or into a one-line error message. */
export function parseAblation(text: string): ParsedAblation {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, problem: `it is no JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  const parsed = AblationFile.safeParse(value);
  if (parsed.success) return { ok: true, set: parsed.data };
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") ?? "";
  const where = place === "" ? "" : `${place}: `;
  const what = issue?.code === "invalid_type" && place === "" ? `${issue.message}; ${EXAMPLE}` : issue?.message;
  return { ok: false, problem: `${where}${what ?? EXAMPLE}` };
}

const EXAMPLE = 'a set is {"format":"lfp-ablation/1","features":[{"id":"L4/F43","factor":0}]}';

/** Sets a feature's factor in the text of a file; everything else in `text` stays. */
export function withFeature(text: string | undefined, id: FeatureId, factor: number): string {
  const before = z.looseObject({ features: AblationSet.shape.features }).parse(JSON.parse(text ?? EMPTY));
  const others = before.features.filter((feature) => feature.id !== id);
  return `${JSON.stringify({ ...before, features: [...others, { id, factor }] }, undefined, 2)}\n`;
}

/** Removes a feature from the text of a file; everything else in `text` stays. */
export function withoutFeature(text: string, id: FeatureId): string {
  const before = z.looseObject({ features: AblationSet.shape.features }).parse(JSON.parse(text));
  const others = before.features.filter((feature) => feature.id !== id);
  return `${JSON.stringify({ ...before, features: others }, undefined, 2)}\n`;
}

/** Says in the text of a file which run the set belongs to; everything else in `text` stays. */
export function withRun(text: string | undefined, run: RunIdentity): string {
  const { format, ...before } = z.looseObject({ format: z.unknown() }).parse(JSON.parse(text ?? EMPTY));
  return `${JSON.stringify({ format, ...before, run }, undefined, 2)}\n`;
}

const EMPTY = '{ "format": "lfp-ablation/1", "name": "", "note": "", "features": [] }';
