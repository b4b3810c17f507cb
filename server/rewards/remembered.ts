/** Completions whose rewards are remembered. */
const MOST_REMEMBERED = 200_000;

/**
 * Rewards by what is asked, so that equal completions get equal rewards and cost nothing the second time. `ask` answers
 * distinct questions in their order.
 */
export class RememberedRewards {
  readonly #ask: (questions: readonly string[], signal: AbortSignal | undefined) => Promise<readonly number[]>;
  readonly #known = new Map<string, number>();

  constructor(ask: (questions: readonly string[], signal: AbortSignal | undefined) => Promise<readonly number[]>) {
    this.#ask = ask;
  }

  /** Rejects with what `ask` rejects with; what was known stays. */
  async rewards(questions: readonly string[], signal: AbortSignal | undefined): Promise<Float64Array> {
    const asked = [...new Set(questions)].filter((question) => !this.#known.has(question));
    const answers = asked.length === 0 ? [] : await this.#ask(asked, signal);
    const found = new Map(asked.map((question, at) => [question, answers[at] ?? 0]));
    const rewards = Float64Array.from(questions, (one) => found.get(one) ?? this.#known.get(one) ?? 0);
    if (this.#known.size + found.size > MOST_REMEMBERED) this.#known.clear();
    for (const [question, value] of found) this.#known.set(question, value);
    return rewards;
  }
}
