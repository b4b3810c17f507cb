import type { RunEventBody } from "../protocol/run-events.ts";

type Progress = Extract<RunEventBody, { kind: "progress" }>;

/**
 * Throttles a stage's progress to at most four events a second, falling to one in two seconds in long stages, so that
 * the event file stays small; always emits the last one. Adds rate and time left.
 */
export class ProgressMeter {
  readonly #stage: string;
  readonly #emit: (event: Progress) => void;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  #unit: string | undefined;
  #first: { readonly done: number; readonly atMs: number } | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(stage: string, emit: (event: Progress) => void, nowMs: () => number = () => performance.now()) {
    this.#stage = stage;
    this.#emit = emit;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  tell(done: number, total: number, unit: string): void {
    const nowMs = this.#nowMs();
    // A change of unit means other work: restart the rate.
    if (unit !== this.#unit) this.#first = undefined;
    this.#unit = unit;
    this.#first ??= { done, atMs: nowMs };
    const pauseMs = Math.min(2000, Math.max(250, (nowMs - this.#startMs) / 200));
    if (done < total && nowMs - this.#toldMs < pauseMs) return;
    this.#toldMs = nowMs;
    const elapsedS = (nowMs - this.#first.atMs) / 1000;
    const counted = done - this.#first.done;
    const ratePerS = elapsedS > 0 && counted > 0 ? counted / elapsedS : null;
    const secondsLeft = ratePerS === null ? null : Math.max(0, total - done) / ratePerS;
    this.#emit({ kind: "progress", stage: this.#stage, done, total, unit, ratePerS, secondsLeft });
  }
}
