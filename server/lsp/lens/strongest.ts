/**
 * Selects the tokens with the largest magnitudes from any number of tokens, in memory proportional to the number kept.
 */
export class Strongest {
  readonly #limit: number;
  #kept: StrongToken[] = [];
  #least = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(start: number, end: number, value: number): void {
    if (value === 0 || Math.abs(value) < this.#least) return;
    this.#kept.push({ start, end, value });
    if (this.#kept.length >= 4 * this.#limit) this.#prune();
  }

  /** The kept tokens, largest magnitude first; ties in document order. */
  sorted(): readonly StrongToken[] {
    this.#prune();
    return this.#kept;
  }

  #prune(): void {
    this.#kept.sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.start - b.start);
    this.#kept = this.#kept.slice(0, this.#limit);
    if (this.#kept.length === this.#limit) this.#least = Math.abs(this.#kept.at(-1)?.value ?? 0);
  }
}

export interface StrongToken {
  readonly start: number;
  readonly end: number;
  readonly value: number;
}
