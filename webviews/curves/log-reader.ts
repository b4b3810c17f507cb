/** Reads a run's log piece by piece as it grows. */
import type { LogLine } from "./series.ts";

/** Asks the host for the lines from an offset on; it returns the offset of the next question. */
export type AskLines = (offset: number) => Promise<{ readonly offset: number; readonly lines: readonly LogLine[] }>;

export class LogReader {
  readonly #ask: AskLines;
  readonly #onLines: (lines: readonly LogLine[]) => void;
  #lines: readonly LogLine[] = [];
  #offset = 0;
  /** The latest reading. Readings are chained, so that no line is read twice. */
  #reading: Promise<void> = Promise.resolve();

  /** `onLines` is called with all lines so far after each piece. */
  constructor(ask: AskLines, onLines: (lines: readonly LogLine[]) => void) {
    this.#ask = ask;
    this.#onLines = onLines;
  }

  /** Reads what is new, after any reading that goes on. Rejects as the host does; the next call reads on from there. */
  readOn(): Promise<void> {
    const reading = this.#reading.then(() => this.#readNew());
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  async #readNew(): Promise<void> {
    for (;;) {
      const { offset, lines } = await this.#ask(this.#offset);
      // The log was restarted: the lines so far belong to a discarded attempt.
      if (offset < this.#offset) this.#lines = [];
      if (offset === this.#offset) return;
      this.#offset = offset;
      this.#lines = [...this.#lines, ...lines];
      this.#onLines(this.#lines);
    }
  }
}
