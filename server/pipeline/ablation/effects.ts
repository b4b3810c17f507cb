import type { AblationResult } from "../../ablate/result.ts";
import type { NewAblation } from "../../store/store.ts";

/** What an ablation of a single feature adds to that feature's page; a set of several adds to none. */
export function effectsOf({ features, prompts, conditions, random }: AblationResult): NewAblation["effects"] {
  const [only] = features;
  if (only === undefined || features.length > 1) return [];
  const own = conditions.flatMap(({ kind, reward: { change } }) =>
    change === null || kind === "none" || kind === "random" ? [] : [{ what: kind, change }],
  );
  const all = [...own, ...(random === null ? [] : [{ what: "random" as const, change: random.change }])];
  return all.map(({ what, change: { mean, low, high } }) => ({
    id: only.id,
    what,
    factor: only.factor,
    prompts,
    change: mean,
    low,
    high,
  }));
}
