/**
 * Yields to the event loop when a loop has blocked it for long: values from a cache resolve without a wait, so
 * cancellations would not be received meanwhile. Throws the signal's reason.
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
