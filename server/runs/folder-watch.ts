import { type FSWatcher, watch } from "node:fs";

/**
 * Waits for changes in a folder: watches it where the system can, and also returns after a timeout, because network
 * file systems and exhausted watch tables send no notifications.
 */
export class FolderWatch {
  #watcher: FSWatcher | undefined;
  #hasChanged: boolean = false;
  #wake: (() => void) | undefined;

  constructor(folder: string) {
    try {
      this.#watcher = watch(folder, { persistent: false }, () => this.#changed());
      this.#watcher.on("error", () => this.close());
    } catch {
      // The folder does not exist yet, or the system has no watches left: rely on the timeout.
    }
  }

  /** Returns after the next change since the last call, after `timeoutMs`, or when `signal` is aborted. */
  async next(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.#hasChanged && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", done);
          this.#wake = undefined;
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        signal?.addEventListener("abort", done, { once: true });
        this.#wake = done;
      });
    }
    this.#hasChanged = false;
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #changed(): void {
    this.#hasChanged = true;
    this.#wake?.();
  }
}
