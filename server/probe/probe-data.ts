import type { WordRatings } from "../rewards/word-ratings.ts";
import type { Triple } from "../tasks/task.ts";
import type { TripleFeatures } from "./features.ts";

/** What the same probe is fitted on beside the features, at the same target words. */
export const controlInputs = ["rawActivations", "baseModel", "staticEmbedding"] as const;
export type ControlInput = (typeof controlInputs)[number];

export interface ProbeData extends Readonly<Partial<Record<ControlInput, TripleFeatures>>> {
  readonly triples: readonly Triple[];
  /** What each target word is worth to the feedback, and the range of what words are worth. */
  readonly ratings: Pick<WordRatings, "values" | "range">;
  /** Of the model that is probed. The controls: MLP outputs, features of the model before tuning, and its token embeddings. */
  readonly features: TripleFeatures;
  /** lambda of every version [3n], for the target `logRatio`. */
  readonly logRatios?: Float32Array;
  /** How often each word stands in the texts that the model was tuned on; a word that is missing stands nowhere. */
  readonly tuningCounts?: ReadonlyMap<string, number>;
}
