import { unlessAborted } from "../common/abort.ts";

/** An LRU cache bounded in bytes. */
export class ByteCache<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly bytes: number }>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** A value larger than the whole bound is not cached. */
  set(key: string, value: T, bytes: number): void {
    this.#remove(key);
    if (bytes > this.#maxBytes) return;
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}

interface Work<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/** Shares work between concurrent callers with the same key. Aborts it when the last of them stops waiting. */
export class SharedWork<T> {
  readonly #running = new Map<string, Work<T>>();

  /** Rejects with the signal's reason as soon as it is aborted, even if the work continues. */
  async run(key: string, signal: AbortSignal | undefined, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const work = this.#running.get(key) ?? this.#start(key, start);
    work.waiting += 1;
    try {
      return await unlessAborted(work.promise, signal);
    } finally {
      work.waiting -= 1;
      if (work.waiting === 0) this.#stop(key, work);
    }
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Work<T> {
    const controller = new AbortController();
    const work: Work<T> = { promise: start(controller.signal), controller, waiting: 0 };
    // Prevents an unhandled rejection: all callers may have stopped waiting when the work fails.
    work.promise.catch(() => undefined);
    this.#running.set(key, work);
    return work;
  }

  #stop(key: string, work: Work<T>): void {
    if (this.#running.get(key) === work) this.#running.delete(key);
    work.controller.abort();
  }
}
