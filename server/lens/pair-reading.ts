/** What two models make of a passage: what tuning changed in their predictions, by token and by word. */
import { characterGroups, type TokenRange } from "../models/tokenizer.ts";
import type { TokenDetail } from "../protocol/lens.ts";

/** A passage's tokens, as in `Reading`: stretches of whole characters that tile the text. Numbers are in nats. */
export interface PairReading {
  /** UTF-16 offsets in the passage's text. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /**
   * The learned reward, log pi_tuned(token | before) - log pi_base(token | before), above zero where tuning made the token likelier; a sum where
   * several of the model's tokens share characters. Null where nothing stands before, and for tokens that only one of the models has.
   */
  readonly learned: readonly (number | null)[];
  /** KL(pi_tuned || pi_base) of what would come next after the token. Null for tokens that only one of the models has. */
  readonly kl: readonly (number | null)[];
}

/** A word with what tuning changed. */
export interface WordReading {
  /** UTF-16 offsets in the passage's text. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The tokens that it is read as: from `firstToken` to before `endToken`. */
  readonly firstToken: number;
  readonly endToken: number;
  /** The learned reward of the word: the sum over its tokens. Null where one of them has none. */
  readonly learned: number | null;
  /** What the tuned model would write next after the word, against the base model: the divergence after its last token. */
  readonly kl: number | null;
}

/** Numbers of the model's own tokens, joined to those of whole characters; NaN stands for none. */
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

/**
 * The words of a passage in order. Words are those that the feedback rates (`rated`, in order), and elsewhere what Unicode takes for words
 * (UAX 29). A token belongs to the first word that it is a part of.
 */
export function wordsOf(
  { starts, ends, learned, kl }: PairReading,
  text: string,
  rated: readonly TokenRange[] = [],
): WordReading[] {
  const words: WordReading[] = [];
  let token = 0;
  for (const { start, end } of wordRanges(text, rated)) {
    while (token < starts.length && (ends[token] ?? 0) <= start) token += 1;
    const firstToken = token;
    while (token < starts.length && (starts[token] ?? 0) < end) token += 1;
    if (token === firstToken) continue;
    const parts = learned.slice(firstToken, token);
    words.push({
      start,
      end,
      text: text.slice(start, end),
      firstToken,
      endToken: token,
      learned: parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0),
      kl: kl[token - 1] ?? null,
    });
  }
  return words;
}

/** What is shown of one token, with the word that it belongs to: none for spaces and punctuation. Offsets are those of the passage's text. */
export function learnedAt(
  reading: PairReading,
  text: string,
  token: number,
  rated: readonly TokenRange[] = [],
): NonNullable<TokenDetail["learned"]> {
  const word = wordsOf(reading, text, rated).find((one) => token >= one.firstToken && token < one.endToken);
  return {
    logRatio: reading.learned[token] ?? null,
    word: word === undefined ? null : { start: word.start, end: word.end, text: word.text, sum: word.learned },
    kl: reading.kl[token] ?? null,
  };
}

/** About how much memory a reading takes. */
export function bytesOfPairReading({ starts }: PairReading): number {
  return 256 + 40 * starts.length;
}

/** In any language: no language has rules of its own for words that the readings of two models would depend on. */
const segmenter = new Intl.Segmenter("en", { granularity: "word" });

function* wordRanges(text: string, rated: readonly TokenRange[]): Generator<TokenRange> {
  let at = 0;
  let last = 0;
  for (const { segment, index, isWordLike } of segmenter.segment(text)) {
    const end = index + segment.length;
    for (let next = rated[at]; next !== undefined && next.start < end; next = rated[++at]) {
      yield { start: next.start, end: next.end };
      last = next.end;
    }
    if (isWordLike === true && index >= last) yield { start: index, end };
  }
}
