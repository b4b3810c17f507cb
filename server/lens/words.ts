/** The words of a passage, and the tokens that each is read from. */
import type { TokenRange } from "../models/tokenizer.ts";

/** Tokens of a reading that are read as one: a word, or one token by itself. */
export interface TokenSpan {
  /** UTF-16 offsets in the passage's text. */
  readonly start: number;
  readonly end: number;
  /** From `firstToken` to before `endToken`. */
  readonly firstToken: number;
  readonly endToken: number;
}

/** A passage's tokens: ranges of whole characters that tile its text. */
export interface TokenPlaces {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/**
 * The words of a passage in order: those that the feedback rates (`rated`, in order), and elsewhere the words of
 * Unicode's segmentation (UAX 29). A token belongs to the first word that it is a part of; a word whose tokens all
 * belong to an earlier one is left out.
 */
export function wordSpans({ starts, ends }: TokenPlaces, text: string, rated: readonly TokenRange[] = []): TokenSpan[] {
  const spans: TokenSpan[] = [];
  let token = 0;
  for (const { start, end } of wordRanges(text, rated)) {
    while (token < starts.length && (ends[token] ?? 0) <= start) token += 1;
    const firstToken = token;
    while (token < starts.length && (starts[token] ?? 0) < end) token += 1;
    if (token > firstToken) spans.push({ start, end, firstToken, endToken: token });
  }
  return spans;
}

/** One token as a span of its own. */
export function tokenSpan({ starts, ends }: TokenPlaces, token: number): TokenSpan {
  return { start: starts[token] ?? 0, end: ends[token] ?? 0, firstToken: token, endToken: token + 1 };
}

/** The word that a token belongs to; undefined for spaces and punctuation. */
export function wordAt(words: readonly TokenSpan[], token: number): TokenSpan | undefined {
  return words.find(({ firstToken, endToken }) => token >= firstToken && token < endToken);
}

/** For any language: no locale has word rules of its own that readings would depend on. */
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
