/** When to try again, and how long to wait: what the server says, or twice as long each time. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../common/random.ts";

export interface PatienceOptions {
  /** Tries of one request. */
  readonly attempts: number;
  /** A server that asks for a longer wait is not waited for. */
  readonly longestWaitMs: number;
  readonly random: Random;
  /** For tests. */
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Waits that all requests to one endpoint share: when the server asks one of them to slow down, all wait. */
export class Patience {
  readonly #options: PatienceOptions;
  #waiting: Promise<void> = Promise.resolve();

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Ends when nobody is asked to wait. */
  async turn(): Promise<void> {
    await this.#waiting;
  }

  /** Whether another try makes sense after `tries` of them, of which the last was answered so; if so, it has waited. */
  async again(tries: number, refusal: Refusal, signal: AbortSignal | undefined): Promise<boolean> {
    const { attempts, longestWaitMs, random, sleep = defaultSleep } = this.#options;
    if (!refusal.mayPass || tries >= Math.min(attempts, refusal.mostTries ?? attempts)) return false;
    const usual = Math.min(8000, 500 * 2 ** (tries - 1)) * (1 - 0.25 * random.uniform());
    const ms = refusal.retryAfterMs ?? usual;
    if (ms > longestWaitMs) return false;
    const slept = sleep(ms, signal);
    // Only what the server asks for holds up the others.
    if (refusal.retryAfterMs !== null)
      this.#waiting = Promise.all([this.#waiting, slept]).then(nothingMore, nothingMore);
    await slept;
    return true;
  }
}

/** Why a request brought no answer. */
export interface Refusal {
  /** For people; without keys. */
  readonly reason: string;
  /** Whether the same request may succeed later. */
  readonly mayPass: boolean;
  readonly retryAfterMs: number | null;
  /** Fewer tries than others get; undefined: as many. */
  readonly mostTries?: number;
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date; null where neither can be read. */
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
