import type { AblationResult } from "../../ablate/result.ts";
import type { FeatureDetail } from "../../protocol/features.ts";
import type { NewAblation } from "../../store/store.ts";

/** The effects that an ablation of a single feature adds to the feature's page; empty for a set of several. */
export function effectsOf(result: AblationResult): NewAblation["effects"] {
  const [only] = result.features;
  if (only === undefined || result.features.length > 1) return [];
  return rewardChanges(result).map((effect) => ({ id: only.id, ...effect }));
}

/**
 * Changes of the mean effect from the unchanged model under every condition; for several features, `factor` is the
 * first one's.
 */
export function rewardChanges({
  measure,
  features,
  prompts,
  conditions,
  random,
}: AblationResult): FeatureDetail["ablations"] {
  const own = conditions.flatMap(({ kind, reward: { change } }) =>
    change === null || kind === "none" || kind === "random" ? [] : [{ what: kind, change }],
  );
  const all = [...own, ...(random === null ? [] : [{ what: "random" as const, change: random.change }])];
  const factor = features[0]?.factor ?? 1;
  return all.map(({ what, change: { mean, low, high } }) => ({
    what,
    ...(measure === undefined ? {} : { measure }),
    factor,
    prompts,
    change: mean,
    low,
    high,
  }));
}
