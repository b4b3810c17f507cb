import { CapReachedError } from "./errors.ts";

/** Prices of a million tokens, in dollars. */
export interface Prices {
  readonly inputUsd: number;
  readonly outputUsd: number;
}

export interface SpendOptions {
  /** Upper bound on tokens, input and output together; null: no such bound. */
  readonly maxTokens: number | null;
  /** Upper bound on the cost in dollars; needs prices. */
  readonly maxUsd: number | null;
  readonly prices: Prices | null;
  /** What was used before, which counts against the bounds too. */
  readonly before?: Usage;
  readonly ledger?: Ledger;
}

/** Told of the most that a request can cost before it is sent, and of what it cost, so that no kill hides a cost. */
export interface Ledger {
  reserved(request: number, most: Usage): void;
  settled(request: number, used: Usage): void;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * Keeps spending below a cap. Every request first reserves the most that it can cost, so that concurrent requests
 * cannot exceed the cap either; afterwards the actual usage replaces the reservation.
 */
export class Spend {
  readonly #options: SpendOptions;
  readonly #reserved = new Set<Usage>();
  #used: Usage = { inputTokens: 0, outputTokens: 0 };
  #requests = 0;

  constructor(options: SpendOptions) {
    this.#options = options;
  }

  /** Without what was used before. */
  get used(): Usage {
    return this.#used;
  }

  /** Null without prices. */
  get usd(): number | null {
    return costOf(this.#used, this.#options.prices);
  }

  /** Throws `CapReachedError` when the request could go beyond the cap. */
  reserve(most: Usage): Reservation {
    const { maxTokens, maxUsd, prices, before = nothing, ledger } = this.#options;
    const spent = sumOf(before, this.#used);
    const committed = [spent, ...this.#reserved, most].reduce(sumOf);
    const tokens = committed.inputTokens + committed.outputTokens;
    const usd = costOf(committed, prices);
    if (maxTokens !== null && tokens > maxTokens)
      throw new CapReachedError(`${spent.inputTokens + spent.outputTokens} tokens`, `${maxTokens} tokens`);
    if (maxUsd !== null && usd !== null && usd > maxUsd)
      throw new CapReachedError(`$${(costOf(spent, prices) ?? 0).toFixed(4)}`, `$${maxUsd}`);
    this.#reserved.add(most);
    const request = this.#requests++;
    ledger?.reserved(request, most);
    const settle = (used: Usage): void => {
      if (!this.#reserved.delete(most)) return;
      this.#used = sumOf(this.#used, used);
      ledger?.settled(request, used);
    };
    return { settle, most };
  }
}

export interface Reservation {
  readonly most: Usage;
  /** Replaces the reservation by the actual usage; later calls do nothing. */
  settle(used: Usage): void;
}

export const nothing: Usage = { inputTokens: 0, outputTokens: 0 };

/** Cost in dollars; null without prices. */
export function costOf({ inputTokens, outputTokens }: Usage, prices: Prices | null): number | null {
  return prices === null ? null : (inputTokens * prices.inputUsd + outputTokens * prices.outputUsd) / 1e6;
}

export function sumOf(a: Usage, b: Usage): Usage {
  return { inputTokens: a.inputTokens + b.inputTokens, outputTokens: a.outputTokens + b.outputTokens };
}
