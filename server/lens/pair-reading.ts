/** Readings of a passage by two models: how tuning changed their predictions, by token and by word. */
import { characterGroups, type TokenRange } from "../models/tokenizer.ts";
import type { TokenDetail } from "../protocol/lens.ts";
import { type TokenSpan, wordAt, wordSpans } from "./words.ts";

/** A passage's tokens, as in `Reading`: ranges of whole characters that tile the text. Values are in nats. */
export interface PairReading {
  /** UTF-16 offsets in the passage's text. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /**
   * The learned reward, log pi_tuned(token | before) - log pi_base(token | before), above zero if tuning made the
   * token likelier; a sum where several of the model's tokens share characters. Null where nothing precedes, and for
   * tokens that only one of the models has.
   */
  readonly learned: readonly (number | null)[];
  /**
   * KL(pi_tuned || pi_base) of the next-token distributions after the token. Null for tokens that only one of the
   * models has.
   */
  readonly kl: readonly (number | null)[];
}

/** A word with its change by tuning. */
export interface WordReading extends TokenSpan {
  readonly text: string;
  /** The learned reward of the word: the sum over its tokens. Null if one of them has none. */
  readonly learned: number | null;
  /**
   * KL of the tuned model's next-token distribution from the base model's after the word: that after its last token.
   */
  readonly kl: number | null;
}

/** Joins values of the model's own tokens to those of whole characters; NaN means none. */
export function pairReadingOf(
  ranges: readonly TokenRange[],
  { logRatio, kl }: { readonly logRatio: Float64Array; readonly kl: Float64Array },
): PairReading {
  const groups = characterGroups(ranges);
  const known = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return {
    starts: Int32Array.from(groups, ({ start }) => start),
    ends: Int32Array.from(groups, ({ end }) => end),
    learned: groups.map(({ firstToken, endToken }) =>
      known(logRatio.subarray(firstToken, endToken).reduce((sum, value) => sum + value, 0)),
    ),
    kl: groups.map(({ endToken }) => known(kl[endToken - 1] ?? Number.NaN)),
  };
}

/** The words of a passage in order, as `wordSpans` has them. */
export function wordsOf(reading: PairReading, text: string, rated: readonly TokenRange[] = []): WordReading[] {
  return wordSpans(reading, text, rated).map((span) => ({
    ...span,
    text: text.slice(span.start, span.end),
    learned: learnedOf(reading, span),
    kl: klOf(reading, span),
  }));
}

/** The learned reward of tokens that are read as one: the sum over them. Null if one of them has none. */
export function learnedOf({ learned }: PairReading, { firstToken, endToken }: TokenSpan): number | null {
  const parts = learned.slice(firstToken, endToken);
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0);
}

/** The divergence after tokens that are read as one: that after the last of them. */
export function klOf({ kl }: PairReading, { endToken }: TokenSpan): number | null {
  return kl[endToken - 1] ?? null;
}

/**
 * Values for display of tokens that are read as one, with their word, if they are part of one. Offsets are those of
 * the passage's text.
 */
export function learnedAt(
  reading: PairReading,
  text: string,
  span: TokenSpan,
  rated: readonly TokenRange[] = [],
): NonNullable<TokenDetail["learned"]> {
  const word = wordAt(wordSpans(reading, text, rated), span.firstToken);
  return {
    logRatio: learnedOf(reading, span),
    word:
      word === undefined
        ? null
        : {
            start: word.start,
            end: word.end,
            text: text.slice(word.start, word.end),
            sum: learnedOf(reading, word),
          },
    kl: klOf(reading, span),
  };
}

/** Approximate memory of a reading. */
export function bytesOfPairReading({ starts }: PairReading): number {
  return 256 + 40 * starts.length;
}
