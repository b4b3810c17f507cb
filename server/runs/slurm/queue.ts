import { randomInt } from "node:crypto";
import { listQueue, type QueueRow } from "./commands.ts";

/** Times of asking Slurm, in milliseconds; tests shorten them. */
export interface SlurmTimes {
  /** Between two calls of `squeue`, plus up to as much again by chance, so that many users do not ask at once. */
  readonly pollMs: number;
  /** After a change that we made: the next call comes after this, the ones after it twice as late each time. */
  readonly hurryMs: number;
  /** The longest back-off while Slurm does not answer. */
  readonly mostMs: number;
  /** How long Slurm must not have known a job until it counts as gone. */
  readonly absentMs: number;
  /** How long one command may take. */
  readonly commandMs: number;
}

export const defaultTimes: SlurmTimes = {
  pollMs: 15_000,
  hurryMs: 2000,
  mostMs: 300_000,
  absentMs: 300_000,
  commandMs: 60_000,
};

/** What `squeue` said last. */
export type QueueView =
  | { readonly rows: readonly QueueRow[]; readonly askedAtMs: number }
  /** Slurm has not answered; `error` is the last. */
  | { readonly error: unknown };

/** `squeue` has failed this often in a row until its last answer no longer counts. */
const TOLERATED_FAILURES = 2;

/**
 * The caller's jobs in one cluster, from one call of `squeue` for all of them and for everyone in this process who asks,
 * repeated at intervals with jitter, which grow while Slurm does not answer.
 */
export class SlurmQueue {
  readonly #cluster: string | undefined;
  readonly #times: SlurmTimes;
  #last: { readonly rows: readonly QueueRow[]; readonly askedAtMs: number } | undefined;
  #error: unknown;
  #failures = 0;
  #dueMs = 0;
  #hurryMs: number | undefined;
  #asking: Promise<void> | undefined;

  constructor(cluster: string | undefined, times: SlurmTimes) {
    this.#cluster = cluster;
    this.#times = times;
  }

  /** The last answer, or a new one if it is due. */
  async view(): Promise<QueueView> {
    if (performance.now() >= this.#dueMs) await this.#ask();
    if (this.#last === undefined || this.#failures > TOLERATED_FAILURES) return { error: this.#error };
    return this.#last;
  }

  /** An answer to a question that was asked after this call. */
  async fresh(): Promise<QueueView> {
    await this.#asking;
    await this.#ask();
    return this.#failures > 0 || this.#last === undefined ? { error: this.#error } : this.#last;
  }

  /** An answer to a question that was asked after a time of `performance.now()`. */
  async since(timeMs: number): Promise<QueueView> {
    return this.#failures === 0 && this.#last !== undefined && this.#last.askedAtMs >= timeMs
      ? this.#last
      : await this.fresh();
  }

  /** Something was submitted or cancelled: asks soon and, for a while, more often. */
  hurry(): void {
    this.#hurryMs = this.#times.hurryMs;
    this.#dueMs = Math.min(this.#dueMs, performance.now() + this.#times.hurryMs);
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askNow().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askNow(): Promise<void> {
    const askedAtMs = performance.now();
    try {
      this.#last = { rows: await listQueue(this.#cluster, this.#times.commandMs), askedAtMs };
      this.#failures = 0;
    } catch (error) {
      this.#error = error;
      this.#failures += 1;
    }
    const nextMs = Math.ceil(this.#nextMs());
    this.#dueMs = performance.now() + nextMs + randomInt(nextMs + 1);
  }

  /** The least time until the next call. */
  #nextMs(): number {
    const { pollMs, mostMs } = this.#times;
    if (this.#failures > 0) return Math.min(mostMs, pollMs * 2 ** (this.#failures - 1));
    const hurryMs = this.#hurryMs;
    if (hurryMs === undefined) return pollMs;
    this.#hurryMs = hurryMs * 2 < pollMs ? hurryMs * 2 : undefined;
    return hurryMs;
  }
}
