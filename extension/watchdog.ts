/** Detects a server that runs but no longer answers. Independent of VS Code. */

export interface WatchdogOptions {
  /** How long a request may be unanswered before the watchdog pings the server. */
  readonly patienceMs: number;
  /** How long the server has to answer the ping. */
  readonly silenceMs: number;
  /** Settles, either way, when the server answers. */
  readonly ping: () => Promise<unknown>;
  readonly onHang: () => void;
}

/** Distinguishes a hung server from a slow answer, by whether the server answers a ping meanwhile. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #unanswered = new Set<object>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Call it with every request, and the returned function when the answer arrives. */
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
