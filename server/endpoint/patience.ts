/** Retry policy: whether to retry, and how long to wait: as long as the server says, or twice as long each time. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../common/random.ts";

export interface PatienceOptions {
  /** Maximum number of tries of one request. */
  readonly attempts: number;
  /** Longest wait: if the server asks for a longer one, the request is not retried. */
  readonly longestWaitMs: number;
  readonly random: Random;
  /** Replaced in tests. */
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Waits that all requests to one endpoint share: when the server asks one of them to slow down, all wait. */
export class Patience {
  readonly #options: PatienceOptions;
  #waiting: Promise<void> = Promise.resolve();

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Resolves once no wait is pending. */
  async turn(): Promise<void> {
    await this.#waiting;
  }

  /** Decides, after `tries` tries of which the last was refused so, whether to retry; if so, waits first. */
  async again(tries: number, refusal: Refusal, signal: AbortSignal | undefined): Promise<boolean> {
    const { attempts, longestWaitMs, random, sleep = defaultSleep } = this.#options;
    if (!refusal.mayPass || tries >= Math.min(attempts, refusal.mostTries ?? attempts)) return false;
    const usual = Math.min(8000, 500 * 2 ** (tries - 1)) * (1 - 0.25 * random.uniform());
    const ms = refusal.retryAfterMs ?? usual;
    if (ms > longestWaitMs) return false;
    const slept = sleep(ms, signal);
    // Only a wait that the server asks for delays the other requests.
    if (refusal.retryAfterMs !== null)
      this.#waiting = Promise.all([this.#waiting, slept]).then(nothingMore, nothingMore);
    await slept;
    return true;
  }
}

/** Reason why a request got no answer. */
export interface Refusal {
  /** For people; contains no key. */
  readonly reason: string;
  /** Whether the same request may succeed later. */
  readonly mayPass: boolean;
  readonly retryAfterMs: number | null;
  /** A lower limit on tries than the usual one; undefined: the usual one. */
  readonly mostTries?: number;
}

/** Wait in `retry-after-ms`, or `retry-after` in seconds or as a date; null if neither can be parsed. */
export function retryAfterOf(headers: Pick<Headers, "get"> | undefined, nowMs: number): number | null {
  const inMs = Number(headers?.get("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(inMs) && inMs >= 0) return inMs;
  const stated = headers?.get("retry-after");
  if (stated === null || stated === undefined || stated.trim() === "") return null;
  const seconds = Number(stated);
  if (Number.isFinite(seconds)) return seconds >= 0 ? 1000 * seconds : null;
  const date = Date.parse(stated);
  return Number.isFinite(date) ? Math.max(0, date - nowMs) : null;
}

async function defaultSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal });
}

function nothingMore(): void {}
