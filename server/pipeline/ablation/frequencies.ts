/** How often features are active on inputs for which the probe reads a high reward: the paper's Table 7. */
import { z } from "zod";
import type { TripleFeatures } from "../../probe/features.ts";
import { polarRows, takeRows } from "../../probe/features.ts";
import { type LinearProbe, probeRewards } from "../../probe/linear-probe.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";

/** Percentage of inputs at which a feature is active, mean over the features; null without inputs. */
export const frequenciesSchema = z.object({
  /** Inputs with a reading of at least this count as high. */
  threshold: z.number(),
  highInputs: z.int(),
  otherInputs: z.int(),
  ablatedHigh: z.number().nullable(),
  /** For the random sets that the ablation is compared with; null without draws. */
  randomHigh: z.number().nullable(),
  averageHigh: z.number().nullable(),
  ablatedOther: z.number().nullable(),
  randomOther: z.number().nullable(),
  averageOther: z.number().nullable(),
});
export type Frequencies = z.infer<typeof frequenciesSchema>;

/**
 * Computes the frequencies over positive and negative words of held-out triples; the ratings define the threshold of a
 * high reading. Features are column indices; one that several draws contain counts as often.
 */
export function activationFrequencies(
  probe: LinearProbe,
  features: TripleFeatures,
  test: readonly number[],
  { ablated, random }: { readonly ablated: readonly number[]; readonly random: readonly number[] },
  { range, highReward }: Pick<WordRatings, "range" | "highReward">,
): Frequencies {
  const n = features.triples;
  const rows = takeRows(polarRows(features), Int32Array.from(test.flatMap((triple) => [triple, n + triple])));
  const readings = probeRewards(probe, rows, range);
  const all = Array.from({ length: rows.columns }, (_, column) => column);
  const share = (isHigh: boolean, among: readonly number[]): number | null => {
    const chosen = [...readings.keys()].filter((row) => (readings[row] ?? 0) >= highReward === isHigh);
    if (chosen.length === 0 || among.length === 0) return null;
    let active = 0;
    for (const row of chosen)
      for (const column of among) if ((rows.data[row * rows.columns + column] ?? 0) > 0) active++;
    return (100 * active) / (chosen.length * among.length);
  };
  const highInputs = readings.filter((value) => value >= highReward).length;
  return {
    threshold: highReward,
    highInputs,
    otherInputs: readings.length - highInputs,
    ablatedHigh: share(true, ablated),
    randomHigh: share(true, random),
    averageHigh: share(true, all),
    ablatedOther: share(false, ablated),
    randomOther: share(false, random),
    averageOther: share(false, all),
  };
}
