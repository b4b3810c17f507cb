/** What is known of pairs as tokens before a model reads them. */
import { percentiles } from "../../statistics/percentile.ts";
import type { PairTokens } from "../../tuning/preference-tokens.ts";
import type { Lengths, PairRecord, PairSet } from "../artifacts/pairs.ts";

/** A pair with its tokens. */
export interface ReadPair {
  readonly record: PairRecord;
  readonly tokens: Extract<PairTokens, { kind: "pair" }>;
}

/** Counts of pairs, of what was cut, and of the answers' lengths. */
export function pairSetOf(pairs: readonly ReadPair[]): PairSet {
  const cut = (part: "prompt" | "chosen" | "rejected"): number =>
    pairs.filter(({ tokens }) => tokens.cut.includes(part)).length;
  const lengths = (side: "chosen" | "rejected"): number[] => pairs.map(({ tokens }) => tokens.pair[side].answer.length);
  const [chosen, rejected] = [lengths("chosen"), lengths("rejected")];
  return {
    pairs: pairs.length,
    groups: new Set(pairs.map(({ record }) => record.group)).size,
    cut: { prompt: cut("prompt"), chosen: cut("chosen"), rejected: cut("rejected") },
    lengths: { chosen: summaryOf(chosen), rejected: summaryOf(rejected) },
    longerChosen: chosen.filter((length, at) => length > (rejected[at] ?? 0)).length,
    equallyLong: chosen.filter((length, at) => length === rejected[at]).length,
  };
}

function summaryOf(lengths: readonly number[]): Lengths {
  const [median = 0] = lengths.length === 0 ? [] : percentiles(Float64Array.from(lengths), [50]);
  return {
    mean: lengths.length === 0 ? 0 : lengths.reduce((sum, length) => sum + length, 0) / lengths.length,
    median,
    min: lengths.reduce((least, length) => Math.min(least, length), lengths[0] ?? 0),
    max: lengths.reduce((most, length) => Math.max(most, length), 0),
  };
}
