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
  /** Upper bound on the copies of weights in the compiled programs of a kind, in bytes. */
  readonly programBytes?: number;
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
} as const;
