/** Chooses the features of an ablation, from what is known of a run's small dictionaries. */
import { LfpError } from "../../common/errors.ts";
import { FeatureQuery } from "../../protocol/features.ts";
import type { FeatureStore } from "../../store/store.ts";

/**
 * `attribution`: the features that carry most of what tuning raised; `lowest`: those that lower it most; `relevant`:
 * all whose explanation relates to the task (the paper); `weight`: those with the largest contribution to the probe's
 * output.
 */
export const choices = ["attribution", "lowest", "relevant", "weight"] as const;
export type Choice = (typeof choices)[number];

/** A feature with its attribution. */
export interface Attributed {
  readonly id: string;
  readonly score: number;
}

/**
 * Ids of at most `count` features in ascending or descending order of attribution; skips features that were never
 * active.
 */
export function byAttribution(
  features: readonly Attributed[],
  choice: "attribution" | "lowest",
  count: number,
): string[] {
  const sign = choice === "attribution" ? 1 : -1;
  return features
    .filter(({ score }) => sign * score > 0)
    .toSorted((a, b) => sign * (b.score - a.score))
    .slice(0, count)
    .map(({ id }) => id);
}

/** Ids of the small dictionaries' features of largest contribution to the probe's output, at most 500. */
export function byWeight(store: FeatureStore, count: number): string[] {
  const query = FeatureQuery.parse({ sort: "contribution" });
  return store.query(query, { offset: 0, count: Math.min(count, mostChosen) }).rows.map(({ id }) => id);
}

/** Features in descending order of the size of their contribution to the probe's output. */
export function sortedByWeight(store: FeatureStore, ids: readonly string[]): string[] {
  const weightOf = new Map(ids.map((id) => [id, Math.abs(store.need(id).row.contribution ?? 0)]));
  return ids.toSorted((a, b) => (weightOf.get(b) ?? 0) - (weightOf.get(a) ?? 0));
}

/** The store lacks the data for a choice. */
export class NoChoiceError extends LfpError {
  readonly code = "input";
}

/**
 * Ids of a run's features by a choice, at most `count` and 500; relevant ones in descending order of contribution.
 * Throws `NoChoiceError`.
 */
export function chosenInStore(store: FeatureStore, choice: Choice, count: number): string[] {
  const page = (query: Partial<FeatureQuery>) =>
    store.query(FeatureQuery.parse(query), { offset: 0, count: mostChosen }).rows;
  const found: { readonly [K in Choice]: () => string[] } = {
    attribution: () => attributed("attribution"),
    lowest: () => attributed("lowest"),
    relevant: () => page({ relevant: true }).map(({ id }) => id),
    weight: () => byWeight(store, count),
  };
  const attributed = (end: "attribution" | "lowest"): string[] => {
    const rows = page({ sort: "attribution", descending: end === "attribution" });
    const known = rows.flatMap(({ id, attribution }) => (attribution === null ? [] : [{ id, score: attribution }]));
    if (known.length === 0)
      throw new NoChoiceError(
        `${store.path} has no attributions, since an earlier version of lfp made the run: make it again with \`lfp run\`, or choose otherwise`,
      );
    return byAttribution(known, end, count);
  };
  const ids = found[choice]().slice(0, count);
  if (ids.length === 0) throw new NoChoiceError(`${store.path} has ${noneOf[choice]}: choose otherwise`);
  return ids;
}

const noneOf: { readonly [K in Choice]: string } = {
  attribution: "no feature that carries what tuning raised",
  lowest: "no feature that holds down what tuning raised",
  relevant: "no feature whose explanation was judged relevant to the task",
  weight: "no features",
};

/** Maximum number of rows of one page of a store. */
const mostChosen = 500;
