/** Ablation sets as numbers: the factor of each feature's contribution, layer by layer. */
import { type AblationSet, belongsTo, parseFeatureId } from "../protocol/ablation.ts";
import type { RunInfo } from "../protocol/lens-state.ts";
import { AblationError } from "./errors.ts";
import type { LensSubject } from "./subject.ts";

/** A set in the form that programs take as input. */
export interface ResolvedAblation {
  /** Cache key: equal for sets of equal effect. */
  readonly key: string;
  readonly small: LayerChanges;
  readonly big: LayerChanges;
}

/** By layer: factor - 1 of each feature, [F]. */
export type LayerChanges = ReadonlyMap<number, Float32Array>;

/**
 * Resolves a set to its changes; undefined if it changes nothing. Throws `AblationError` for a set of another run, and
 * for a feature that the run does not have, is of the base model, or is named twice.
 */
export async function resolveAblation(
  set: AblationSet | null | undefined,
  { info, dictionaries }: Pick<LensSubject, "info" | "dictionaries">,
): Promise<ResolvedAblation | undefined> {
  requireOwner(set, info);
  const changed = (set?.features ?? []).filter(({ factor }) => factor !== 1);
  refuseRepeats(set?.features.map(({ id }) => id) ?? []);
  if (changed.length === 0) return undefined;
  const changes = { small: new Map<number, Float32Array>(), big: new Map<number, Float32Array>() };
  for (const { id, factor } of changed) {
    const place = parseFeatureId(id);
    if (place === undefined)
      throw new AblationError(`the ablation set names ${JSON.stringify(id)}, which is no feature`);
    if (place.model === "base")
      throw new AblationError(
        `the ablation set names ${id}, a feature of the base model; sets act on the tuned model, as L4/F43 does`,
      );
    const dictionary = (await dictionaries(place)).get(place.layer);
    if (dictionary === undefined || place.feature >= dictionary.features) {
      const has =
        dictionary === undefined
          ? `no dictionary on layer ${place.layer}`
          : `features 0 to ${dictionary.features - 1} there`;
      throw new AblationError(
        `the ablation set names ${id}, but the run has ${has}; use a set that was made for this run`,
      );
    }
    const layers = changes[place.size];
    const row = layers.get(place.layer) ?? new Float32Array(dictionary.features);
    row[place.feature] = factor - 1;
    layers.set(place.layer, row);
  }
  const parts = changed.map(({ id, factor }) => `${id}*${factor}`).sort();
  return { key: parts.join(","), ...changes };
}

/** Throws `AblationError` if a set says that it is another run's. One that names no run may act on any. */
export function requireOwner(
  set: AblationSet | null | undefined,
  run: Pick<RunInfo, "runName" | "dictionaries">,
): void {
  if (set?.run === undefined || belongsTo(set, { name: run.runName, dictionaries: run.dictionaries })) return;
  const other = set.run.name === run.runName ? "another state of its dictionaries" : `the run ${set.run.name}`;
  throw new AblationError(
    `the ablation set was made for ${other}, whose features are not those of ${run.runName}; use a set of this run, or take "run" out of the file to apply it all the same`,
  );
}

function refuseRepeats(ids: readonly string[]): void {
  const seen = new Set<string>();
  for (const id of ids) {
    if (seen.has(id)) throw new AblationError(`the ablation set names ${id} twice; keep one of the two`);
    seen.add(id);
  }
}
