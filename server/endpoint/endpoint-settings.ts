import type { Random } from "../common/random.ts";
import type { Endpoint } from "./address.ts";
import { EndpointError } from "./errors.ts";
import type { PatienceOptions } from "./patience.ts";
import type { Prices } from "./spend.ts";

/** A language model, with its prices and the limits of what may be spent on it. */
export interface EndpointSettings extends Endpoint {
  readonly prices: Prices | null;
  /** At least one of the two bounds must be given. */
  readonly maxTokens: number | null;
  readonly maxUsd: number | null;
  /** Tokens reserved for thinking in every answer; by default none until an answer is truncated. */
  readonly thinkingTokens?: number | undefined;
}

/** Throws `EndpointError` for settings without a bound on what may be spent. */
export function checkBounds({ maxTokens, maxUsd, prices }: EndpointSettings): void {
  if (maxTokens === null && maxUsd === null)
    throw new EndpointError("a bound on what may be spent is missing", "usage");
  if (maxUsd !== null && prices === null)
    throw new EndpointError("a bound in dollars needs the prices of the model's tokens", "usage");
}

/** How long questions are retried. */
export function usualPatience(random: Random, sleep?: PatienceOptions["sleep"]): PatienceOptions {
  return { attempts: 6, longestWaitMs: 120_000, random, ...(sleep === undefined ? {} : { sleep }) };
}
