/**
 * Lets the event loop turn when a loop has kept it for long: what comes from a cache is there without waiting, and meanwhile no cancellation
 * would be heard. Throws the signal's reason.
 */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #sinceMs = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  async pause(): Promise<void> {
    if (performance.now() - this.#sinceMs > SLICE_MS) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      this.#sinceMs = performance.now();
    }
    this.#signal?.throwIfAborted();
  }
}

const SLICE_MS = 15;
