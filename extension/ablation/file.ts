/** An ablation set as the text of its file. Knows no editor. */
import * as z from "zod";
import { AblationFile, AblationSet, type FeatureId } from "../../server/protocol/ablation.ts";

export type ParsedAblation =
  | { readonly ok: true; readonly set: AblationSet }
  | { readonly ok: false; readonly problem: string };

/** The set that a text holds, or what is wrong with it, in a line. */
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

/** The text of a file in which the feature has this factor; everything else that stands in `text` stays. */
export function withFeature(text: string | undefined, id: FeatureId, factor: number): string {
  const before = z.looseObject({ features: AblationSet.shape.features }).parse(JSON.parse(text ?? EMPTY));
  const others = before.features.filter((feature) => feature.id !== id);
  return `${JSON.stringify({ ...before, features: [...others, { id, factor }] }, undefined, 2)}\n`;
}

/** The text of a file without the feature; everything else that stands in `text` stays. */
export function withoutFeature(text: string, id: FeatureId): string {
  const before = z.looseObject({ features: AblationSet.shape.features }).parse(JSON.parse(text));
  const others = before.features.filter((feature) => feature.id !== id);
  return `${JSON.stringify({ ...before, features: others }, undefined, 2)}\n`;
}

const EMPTY = '{ "format": "lfp-ablation/1", "name": "", "note": "", "features": [] }';
