/**
 * Values of an overlay by word: one number each, by mode. A log-ratio is summed over a word's tokens; a value of
 * features is computed at the word's features, as in the fit of the run's probe. One rule for each mode.
 */
import type { TokenRange } from "../models/tokenizer.ts";
import type { LensMode } from "../protocol/lens.ts";
import { isUnfamiliar } from "./familiarity.ts";
import type { Lens } from "./lens.ts";
import type { ReadOptions } from "./options.ts";
import type { PairReader } from "./pair-lens.ts";
import { klOf, learnedOf, type PairReading } from "./pair-reading.ts";
import { activationsOf, type Reading } from "./reading.ts";
import { disagreement, type ModeValues, type PairMode } from "./values.ts";
import { type TokenPlaces, type TokenSpan, wordSpans } from "./words.ts";

/** A passage's reading in a mode: its tokens, and the value of tokens that are read as one. */
interface SpanReading {
  readonly tokens: TokenPlaces;
  numberOf(span: TokenSpan): number | null;
  /** For values of the probe: leverage divided by the limit, null if unknown. */
  readonly familiarityOf?: (span: TokenSpan) => number | null;
}

type Modes = { readonly [K in LensMode["kind"]]: Extract<LensMode, { kind: K }> };
type SpanRule<K extends LensMode["kind"]> = (
  lens: Lens,
  text: string,
  mode: { readonly kind: K } & Modes[K],
  options: ReadOptions,
) => Promise<SpanReading>;

const rules: { readonly [K in LensMode["kind"]]: SpanRule<K> } = {
  implicit: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return probed(lens, reading, (span) => lens.implicitOf(reading, span));
  },
  true: async (lens, text, _, options) => {
    const { trueReward, ...tokens } = await lens.read(text, options);
    return { tokens, numberOf: ({ firstToken }) => trueReward[firstToken] ?? null };
  },
  disagreement: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    return probed(lens, reading, (span) =>
      disagreement(lens.implicitOf(reading, span), reading.trueReward[span.firstToken] ?? null),
    );
  },
  tunedMinusBase: async (lens, text, _, options) => {
    const [tuned, base] = await Promise.all([lens.read(text, options), lens.read(text, { ...options, model: "base" })]);
    return probed(lens, tuned, (span) => lens.implicitOf(tuned, span) - lens.implicitOf(base, span));
  },
  /** A word's activation is the largest of its tokens'. */
  feature: async (lens, text, { id }, options) => {
    const { column, ...reading } = await lens.readFeature(text, id, options);
    const activations = activationsOf(reading, column);
    const numberOf = ({ firstToken, endToken }: TokenSpan) => Math.max(...activations.subarray(firstToken, endToken));
    return { tokens: reading, numberOf };
  },
  ablatedMinusNot: async (lens, text, _, options) => {
    const [ablated, not] = await Promise.all([
      lens.read(text, options),
      lens.read(text, { ...options, ablation: null }),
    ]);
    return probed(lens, ablated, (span) => lens.implicitOf(ablated, span) - lens.implicitOf(not, span));
  },
  fitted: async (lens, text, _, options) => {
    const reading = await lens.read(text, options);
    const values = lens.fittedValues(reading);
    return probed(lens, reading, (span) => lens.fittedOf(values, span));
  },
  learned: readPairSpans,
  kl: readPairSpans,
};

/** The values of a mode for the words of one passage's text. Throws what `Lens.read` and `Lens.readFeature` throw. */
export async function wordValuesOf(
  lens: Lens,
  text: string,
  mode: LensMode,
  options: ReadOptions = {},
): Promise<ModeValues> {
  const reading = await byRule(lens, text, mode, options);
  return valuesAt(reading, wordSpans(reading.tokens, text, lens.ratings(text)));
}

/** The same, by two models alone. Throws what `PairReader.readPair` throws. */
export async function readPairWordValues(
  reader: PairReader,
  text: string,
  mode: PairMode,
  options: ReadOptions = {},
): Promise<ModeValues> {
  return pairWordValues(await reader.readPair(text, options), text, mode);
}

/** The same, of a reading; `rated` are the words of its text that the feedback rates. */
export function pairWordValues(
  reading: PairReading,
  text: string,
  mode: PairMode,
  rated: readonly TokenRange[] = [],
): ModeValues {
  return valuesAt(pairSpans(reading, mode), wordSpans(reading, text, rated));
}

async function readPairSpans(
  reader: PairReader,
  text: string,
  { kind }: PairMode,
  options: ReadOptions,
): Promise<SpanReading> {
  return pairSpans(await reader.readPair(text, options), { kind });
}

function pairSpans(reading: PairReading, { kind }: PairMode): SpanReading {
  return { tokens: reading, numberOf: (span) => pairValues[kind](reading, span) };
}

const pairValues: { readonly [K in PairMode["kind"]]: (reading: PairReading, span: TokenSpan) => number | null } = {
  learned: learnedOf,
  kl: klOf,
};

function probed(lens: Lens, reading: Reading, numberOf: SpanReading["numberOf"]): SpanReading {
  return { tokens: reading, numberOf, familiarityOf: (span) => lens.familiarityOf(reading, span) };
}

function valuesAt({ tokens, numberOf, familiarityOf }: SpanReading, spans: readonly TokenSpan[]): ModeValues {
  const unfamiliar = spans.flatMap((span, at) => (isUnfamiliar(familiarityOf?.(span) ?? null) ? [at] : []));
  return {
    starts: Int32Array.from(spans, ({ start }) => start),
    ends: Int32Array.from(spans, ({ end }) => end),
    values: spans.map(numberOf),
    unfamiliar,
    read: tokens.starts.length,
  };
}

function byRule<K extends LensMode["kind"]>(
  lens: Lens,
  text: string,
  mode: { readonly kind: K } & Modes[K],
  options: ReadOptions,
): Promise<SpanReading> {
  return rules[mode.kind](lens, text, mode, options);
}
