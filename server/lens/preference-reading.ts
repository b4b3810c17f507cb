/** Readings of preference pairs by two models: how tuning changed the predictions of each answer, given its prompt. */
import type { AnswerTokens } from "../tasks/pairs/answer-tokens.ts";
import { bytesOfPairReading, type PairReading, pairReadingOf } from "./pair-reading.ts";
import type { Side } from "./sides.ts";

/** An answer's tokens in offsets of its text; tokens that the answer shares with the prompt count to the answer. */
export interface AnswerReading extends PairReading {
  /** Sum of the learned reward over all of the answer's tokens that both models have, in nats. */
  readonly sum: number;
  /** Number of those tokens. */
  readonly tokens: number;
  /** The part of `sum` of tokens without a place in the text: the end-of-text token. */
  readonly rest: number;
  /** Number of tokens that were read, the prompt's too. */
  readonly read: number;
  /** Whether the answer's end was cut off. */
  readonly isCut: boolean;
}

/** Both answers of a pair, or why they were not read. */
export type PreferenceReading =
  | { readonly kind: "read"; readonly chosen: AnswerReading; readonly rejected: AnswerReading }
  | { readonly kind: "refused"; readonly why: string };

/** Log-ratio and divergence of every id of `AnswerTokens`; NaN where there is none. */
export interface AnswerValues {
  readonly logRatio: Float64Array;
  readonly kl: Float64Array;
}

/** An answer's reading from the values of its ids. */
export function answerReadingOf({ ids, first, ranges, isCut }: AnswerTokens, values: AnswerValues): AnswerReading {
  const logRatio = values.logRatio.subarray(first);
  const placed = ranges.findLastIndex(({ start, end }) => end > start) + 1;
  // Tokens before the first with a place are the prompt's end, which merges otherwise with what follows.
  const before = ranges.findIndex(({ start, end }) => end > start);
  const reading = pairReadingOf(ranges.slice(Math.max(0, before), placed), {
    logRatio: logRatio.subarray(Math.max(0, before), placed),
    kl: values.kl.subarray(first).subarray(Math.max(0, before), placed),
  });
  const known = logRatio.filter((value) => !Number.isNaN(value));
  const sum = known.reduce((total, value) => total + value, 0);
  const inText = reading.learned.reduce<number>((total, value) => total + (value ?? 0), 0);
  return { ...reading, sum, tokens: known.length, rest: sum - inText, read: ids.length, isCut };
}

/**
 * The margin of a pair in nats: `beta` times the difference of the sums of log-ratios, chosen minus rejected (Rafailov
 * et al. 2023, eq. 7); above zero, tuning made the given preference likelier.
 */
export function marginOf(chosen: number, rejected: number, beta: number): number {
  return beta * (chosen - rejected);
}

/** A token's share of its pair's margin: the shares of both answers' tokens sum to the margin. */
export function shareOf(logRatio: number, side: Side, beta: number): number {
  return side === "chosen" ? beta * logRatio : -beta * logRatio;
}

/** Approximate memory of a reading. */
export function bytesOfPreference(reading: PreferenceReading): number {
  return reading.kind === "refused" ? 256 : bytesOfPairReading(reading.chosen) + bytesOfPairReading(reading.rejected);
}
