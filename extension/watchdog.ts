/** Notices a server that runs but no longer answers. Knows no editor. */

export interface WatchdogOptions {
  /** How long a question may stand unanswered before the server is asked whether it lives. */
  readonly patienceMs: number;
  /** How long it has to say so. */
  readonly silenceMs: number;
  /** Settles, either way, when the server says anything. */
  readonly ping: () => Promise<unknown>;
  readonly onHang: () => void;
}

/** A slow answer is no hang: what counts is whether the server answers something small meanwhile. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #unanswered = new Set<object>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Call with every question, and what it gives with its answer. */
  asked(): () => void {
    const question = {};
    this.#unanswered.add(question);
    this.#timer ??= setTimeout(() => this.#ask(), this.#options.patienceMs);
    return () => {
      this.#unanswered.delete(question);
      if (this.#unanswered.size === 0) this.#stop();
    };
  }

  /** Forgets all questions, for a server that is gone. */
  reset(): void {
    this.#unanswered.clear();
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #ask(): void {
    const silence = setTimeout(() => {
      this.#timer = undefined;
      if (this.#unanswered.size > 0) this.#options.onHang();
    }, this.#options.silenceMs);
    this.#timer = silence;
    const alive = (): void => {
      if (this.#timer !== silence) return;
      this.#stop();
      if (this.#unanswered.size > 0) this.#timer = setTimeout(() => this.#ask(), this.#options.patienceMs);
    };
    this.#options.ping().then(alive, alive);
  }
}
