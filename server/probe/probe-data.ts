import type { WordRatings } from "../rewards/word-ratings.ts";
import type { Triple } from "../tasks/task.ts";
import type { TripleFeatures } from "./features.ts";

/** Control inputs: the probe is fitted to them as well, at the same target words. */
export const controlInputs = ["rawActivations", "baseModel", "staticEmbedding"] as const;
export type ControlInput = (typeof controlInputs)[number];

export interface ProbeData extends Readonly<Partial<Record<ControlInput, TripleFeatures>>> {
  readonly triples: readonly Triple[];
  /** The feedback's value for each target word, and the range of such values. */
  readonly ratings: Pick<WordRatings, "values" | "range">;
  /**
   * Features of the probed model. The controls: the activations that these encode, features of the model before tuning, and its token
   * embeddings.
   */
  readonly features: TripleFeatures;
  /** lambda of every version [3n], for the target `logRatio`. */
  readonly logRatios?: Float32Array;
  /** Count of each word in the texts that the model was tuned on; a missing word has count 0. */
  readonly tuningCounts?: ReadonlyMap<string, number>;
}
