/**
 * Values of an overlay by token: one number each, by mode. One rule for each mode; values by word are in
 * word-values.ts.
 */
import { invariant } from "../common/errors.ts";
import type { LensMode } from "../protocol/lens.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import type { PairReading } from "./pair-reading.ts";
import { activationsOf, type Reading, unfamiliarTokens } from "./reading.ts";

/** Tokens or words of a text in UTF-16 offsets, each with its value; null where the mode gives none. */
export interface ModeValues {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly values: readonly (number | null)[];
  /**
   * Indices of the values that are extrapolations of the probe, ascending; empty if the value is not the probe's, or
   * if that is unknown.
   */
  readonly unfamiliar: readonly number[];
  /** Number of tokens that were read for them. */
  readonly read: number;
}

type Modes = { readonly [K in LensMode["kind"]]: Extract<LensMode, { kind: K }> };
type ModeOf<K extends LensMode["kind"]> = { readonly kind: K } & Modes[K];
type ModeRule<K extends LensMode["kind"]> = (
  lens: Lens,
  text: string,
  mode: ModeOf<K>,
  options: ReadOptions,
) => Promise<ModeValues>;

const rules: { readonly [K in LensMode["kind"]]: ModeRule<K> } = {
  implicit: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return withValues(reading, [...reading.implicit], unfamiliarTokens(reading));
  },
  true: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return withValues(reading, reading.trueReward);
  },
  disagreement: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return withValues(reading, disagreements(reading), unfamiliarTokens(reading));
  },
  tunedMinusBase: async (lens, text, _, options) => {
    const [tuned, base] = await Promise.all([lens.read(text, options), lens.read(text, { ...options, model: "base" })]);
    return difference(tuned, base);
  },
  feature: async (lens, text, { id }, options) => {
    const reading = await lens.readFeature(text, id, options);
    return withValues(reading, [...activationsOf(reading, reading.column)]);
  },
  ablatedMinusNot: async (lens, text, _, options) => {
    const [ablated, not] = await Promise.all([
      lens.read(text, options),
      lens.read(text, { ...options, ablation: null }),
    ]);
    return difference(ablated, not);
  },
  fitted: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return withValues(reading, [...lens.fittedValues(reading)], unfamiliarTokens(reading));
  },
  learned: readPairValues,
  kl: readPairValues,
};

/** The modes that need two models and no run. */
export const pairModes = ["learned", "kl"] as const;
export type PairMode = Extract<LensMode, { readonly kind: (typeof pairModes)[number] }>;

/** The values of such a mode. Throws what `PairReader.readPair` throws. */
export async function readPairValues(
  reader: PairReader,
  text: string,
  { kind }: PairMode,
  options: ReadOptions = {},
): Promise<ModeValues> {
  return pairTokenValues(await reader.readPair(text, options), { kind });
}

/** The same, of a reading. */
export function pairTokenValues(reading: PairReading, { kind }: PairMode): ModeValues {
  return withValues(reading, reading[kind]);
}

export function isPairMode(mode: LensMode): mode is PairMode {
  return mode.kind === "learned" || mode.kind === "kl";
}

/** The values of a mode for one passage's text. Throws what `Lens.read` and `Lens.readFeature` throw. */
export function valuesOf(lens: Lens, text: string, mode: LensMode, options: ReadOptions = {}): Promise<ModeValues> {
  return byRule(lens, text, mode, options);
}

/** Implicit minus true where their signs differ; null elsewhere, and where either has no sign. */
export function disagreements({ implicit, trueReward }: Pick<Reading, "implicit" | "trueReward">): (number | null)[] {
  return trueReward.map((meant, token) => disagreement(implicit[token] ?? 0, meant));
}

/** Disagreement of one token or word. */
export function disagreement(read: number, meant: number | null): number | null {
  return meant !== null && Math.sign(meant) * Math.sign(read) === -1 ? read - meant : null;
}

/**
 * The value of full colour: equal for all texts of a run, so that texts can be compared. A feature's is `largest`,
 * its largest activation in the run's texts, or if that is unknown, the largest of `values`.
 */
export function displayLimit(
  lens: Pick<Lens, "evidence">,
  mode: LensMode,
  values: Iterable<number | null>,
  largestKnown?: number,
): number {
  if (isPairMode(mode)) return pairLimit(mode);
  if (mode.kind === "feature") {
    if (largestKnown !== undefined && largestKnown > 0) return largestKnown;
    let largest = 0;
    for (const value of values) largest = Math.max(largest, value ?? 0);
    return largest > 0 ? largest : 1;
  }
  if (mode.kind === "fitted") return typicalFittedSize;
  const { typicalSize, typicalRating } = lens.evidence;
  return mode.kind === "true" || mode.kind === "disagreement"
    ? (typicalRating ?? typicalSize) + (mode.kind === "true" ? 0 : typicalSize)
    : typicalSize;
}

/** The value of full colour for two models alone, in nats. */
export function pairLimit({ kind }: PairMode): number {
  return pairLimits[kind];
}

/** In nats; lower than the whole log-ratio's, since features explain only a part of it. */
const typicalFittedSize = 1;
/** In nats: a factor of seven up or down in probability; and about the largest divergence in the demo. */
const pairLimits = { learned: 2, kl: 0.5 } as const;

function byRule<K extends LensMode["kind"]>(
  lens: Lens,
  text: string,
  mode: ModeOf<K>,
  options: ReadOptions,
): Promise<ModeValues> {
  return rules[mode.kind](lens, text, mode, options);
}

function withValues(
  { starts, ends }: Pick<ModeValues, "starts" | "ends">,
  values: ModeValues["values"],
  unfamiliar: ModeValues["unfamiliar"] = [],
): ModeValues {
  return { starts, ends, values, unfamiliar, read: starts.length };
}

function difference(a: Reading, b: Reading): ModeValues {
  invariant(a.starts.length === b.starts.length, "two readings of one text have different tokens");
  return withValues(
    a,
    [...a.implicit].map((value, token) => value - (b.implicit[token] ?? Number.NaN)),
    unfamiliarTokens(a),
  );
}
