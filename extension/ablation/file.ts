/** Parses and edits the text of ablation files. Independent of VS Code. */
import * as z from "zod";
import {
  AblationFile,
  type FeatureId,
  type RunIdentity,
  WrittenAblation,
  type WrittenFeature,
} from "../../server/protocol/ablation.ts";

export type ParsedAblation =
  | { readonly ok: true; readonly set: WrittenAblation }
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

/** What to change of a feature; a new one is removed (factor 0) unless a factor says otherwise. */
export type FeatureChange = Partial<Pick<WrittenFeature, "factor" | "on">>;

/** Changes a feature in the text of a file, in its place, or adds it at the end; everything else in `text` stays. */
export function withFeature(text: string | undefined, id: FeatureId, change: FeatureChange): string {
  const isNew = (features: readonly WrittenFeature[]): boolean => !features.some((feature) => feature.id === id);
  return withFeatures(text, (features) =>
    (isNew(features) ? [...features, { id, factor: 0 }] : features).map((feature) =>
      feature.id === id ? tidy({ ...feature, ...change }) : feature,
    ),
  );
}

/** Removes a feature from the text of a file; everything else in `text` stays. */
export function withoutFeature(text: string | undefined, id: FeatureId): string {
  return withFeatures(text, (features) => features.filter((feature) => feature.id !== id));
}

/** Gives every feature its own activation again (factor 1) in the text of a file; the features stay listed. */
export function withAllRestored(text: string | undefined): string {
  return withFeatures(text, (features) => features.map((feature) => ({ ...feature, factor: 1 })));
}

function withFeatures(
  text: string | undefined,
  change: (features: readonly WrittenFeature[]) => readonly WrittenFeature[],
): string {
  const before = z.looseObject({ features: WrittenAblation.shape.features }).parse(JSON.parse(text ?? EMPTY));
  return `${JSON.stringify({ ...before, features: change(before.features) }, undefined, 2)}\n`;
}

/** Writes `on` only where it is false: files without it are those of earlier versions. */
function tidy({ on, ...feature }: WrittenFeature): WrittenFeature {
  return on === false ? { ...feature, on } : feature;
}

/** Says in the text of a file which run the set belongs to; everything else in `text` stays. */
export function withRun(text: string | undefined, run: RunIdentity): string {
  const { format, ...before } = z.looseObject({ format: z.unknown() }).parse(JSON.parse(text ?? EMPTY));
  return `${JSON.stringify({ format, ...before, run }, undefined, 2)}\n`;
}

const EMPTY = '{ "format": "lfp-ablation/1", "name": "", "note": "", "features": [] }';
