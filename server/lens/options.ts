import type { AblationSet } from "../protocol/ablation.ts";

export interface ReadOptions {
  /** Applied to the tuned model. Null and an empty set change nothing. */
  readonly ablation?: AblationSet | null;
  /** Aborted: the read rejects with the signal's reason at once, and the device is free after the window it works on. */
  readonly signal?: AbortSignal | undefined;
}

export interface LensOptions<Info> {
  /** The most tokens that go through the model at once, what stands before the text included; never more than its context. */
  readonly windowTokens?: number;
  /** What readings may take in memory before the oldest are forgotten. */
  readonly cacheBytes?: number;
  /** What compiled programs of a kind may hold of the models' weights. */
  readonly programBytes?: number;
  /** Told when a GPU failed and the lens reads on the CPU from now on; `info.device` says why. */
  readonly onFallback?: (info: Info) => void;
}

export const defaults = {
  /** Dictionaries were trained on texts of this length, and such a window takes about a tenth of a second at Pythia-70m's size. */
  windowTokens: 256,
  cacheBytes: 64 * 2 ** 20,
  programBytes: 512 * 2 ** 20,
} as const;
