/** Shared by all benchmarks: medians after warm-ups, and the process's peak memory. */

import { InternalError } from "../common/errors.ts";

/** The device gave a wrong number, so its speed is irrelevant. */
export class BenchCheckError extends InternalError {
  constructor(what: string, got: string, expected: string) {
    super(
      `the check before the benchmark failed: ${what} is ${got}; expected ${expected}. Nothing was timed; please report it`,
    );
  }
}

export interface Timing {
  readonly repeats: number;
  readonly signal: AbortSignal;
}

/** The median wall time of `work` in seconds, after two warm-ups. */
export async function medianSeconds(work: () => Promise<unknown>, { repeats, signal }: Timing): Promise<number> {
  const seconds: number[] = [];
  for (let at = -WARM_UPS; at < repeats; at++) {
    signal.throwIfAborted();
    const start = performance.now();
    await work();
    if (at >= 0) seconds.push((performance.now() - start) / 1000);
  }
  return medianOf(seconds);
}

const WARM_UPS = 2;

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** The process's peak memory, in MB of 2^20 bytes. */
export function peakRssMB(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** Rounds to one decimal. */
export function rounded(value: number): number {
  return Math.round(10 * value) / 10;
}
