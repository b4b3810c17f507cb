import { canonicalDigest } from "./canonical-json.ts";
import { isPlanned, type PlannedStage } from "./stage.ts";

/**
 * A digest for every stage of a plan, from what is known before anything is computed. Stages of two plans with equal
 * digests have equal keys once they are computed, so that one output serves both; others may turn out to be equal too.
 */
export function plannedKeys(plan: readonly PlannedStage[], runSeed: number): Map<PlannedStage, string> {
  const keys = new Map<PlannedStage, string>();
  const keyOf = (planned: PlannedStage): string => {
    const known = keys.get(planned);
    if (known !== undefined) return known;
    const { stage, settings, inputs, seed = runSeed } = planned;
    const from = Object.entries(inputs).map(([name, input]) => [name, isPlanned(input) ? keyOf(input) : input.digest]);
    const { name, codeVersion } = stage;
    const key = canonicalDigest({ stage: name, codeVersion, settings, seed, inputs: Object.fromEntries(from) });
    keys.set(planned, key);
    return key;
  };
  for (const planned of plan) keyOf(planned);
  return keys;
}
