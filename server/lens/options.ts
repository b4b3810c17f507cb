import type { AblationSet } from "../protocol/ablation.ts";

export interface ReadOptions {
  /** Ablation of the tuned model. Null and an empty set change nothing. */
  readonly ablation?: AblationSet | null;
  /** When aborted, the read rejects at once with the signal's reason; the device is free after the current window. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a chat template wrote the text: it has its special tokens and its begin of text already. */
  readonly templated?: boolean;
}

export interface LensOptions<Info> {
  /** Maximum number of tokens that go through the model at once, including the prefix; never more than its context. */
  readonly windowTokens?: number;
  /** Upper bound on the cached readings, in bytes. */
  readonly cacheBytes?: number;
  /** Upper bound on what the compiled programs of a kind hold, in bytes: copies of weights, and activations. */
  readonly programBytes?: number;
  /**
   * Whether programs copy the weights into a faster layout, where the copies fit. For many texts: at Pythia-70m's shape
   * reading 128 tokens takes a tenth less time (16 tokens: a third less), but compiling a length's program takes 70 ms
   * instead of 20, and 400 instead of 40 where both models are compared.
   */
  readonly copiesWeights?: boolean;
  /** Called after a GPU failure when the lens has moved to the CPU; `info.device` gives the reason. */
  readonly onFallback?: (info: Info) => void;
}

export const defaults = {
  /**
   * The dictionaries' training texts have this length, and such a window takes about a tenth of a second at
   * Pythia-70m's size.
   */
  windowTokens: 256,
  cacheBytes: 64 * 2 ** 20,
  programBytes: 512 * 2 ** 20,
  copiesWeights: false,
} as const;
