/** The lines that a program answers, as they arrive. */

/** Longest line that can be a number. */
const MOST_CHARACTERS = 4096;

/** Collects lines for one reader, who asks for a number of them at a time. */
export class CommandAnswers {
  readonly #lines: string[] = [];
  #rest = "";
  #wanted: { readonly count: number; resolve(lines: string[]): void; reject(reason: unknown): void } | undefined;

  /** The next `count` lines. */
  async next(count: number): Promise<string[]> {
    return await new Promise((resolve, reject) => {
      this.#wanted = { count, resolve, reject };
      this.#give();
    });
  }

  /** Takes a piece of the program's output. */
  take(chunk: string): void {
    const [first = "", ...others] = chunk.split("\n");
    this.#rest = (this.#rest + first).slice(0, MOST_CHARACTERS);
    for (const line of others) {
      this.#lines.push(this.#rest);
      this.#rest = line.slice(0, MOST_CHARACTERS);
    }
    this.#give();
  }

  /** Rejects whoever waits. */
  fail(reason: unknown): void {
    this.#wanted?.reject(reason);
    this.#wanted = undefined;
  }

  #give(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#lines.length < wanted.count) return;
    this.#wanted = undefined;
    wanted.resolve(this.#lines.splice(0, wanted.count));
  }
}
