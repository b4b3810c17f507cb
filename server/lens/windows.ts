import type { Encoding, Tokenizer } from "../models/tokenizer.ts";

/** A window of a passage's tokens: the model reads `from` to `to` at once, and the tokens from `keep` on are kept. */
export interface TokenWindow {
  readonly from: number;
  readonly keep: number;
  readonly to: number;
}

/**
 * Windows of at most `size` tokens over `count` tokens. Every token is kept once, preceded by at least `overlap`
 * tokens of the passage where it has as many.
 */
export function windowsOf(count: number, size: number, overlap: number): TokenWindow[] {
  const windows: TokenWindow[] = [];
  let kept = 0;
  while (kept < count) {
    const from = Math.max(0, kept - overlap);
    const to = Math.min(count, from + size);
    windows.push({ from, keep: kept, to });
    kept = to;
  }
  return windows;
}

/** A window's input: its ids, and the rows to keep with their tokens. */
export interface FilledWindow {
  /** Ids including the prefix. */
  readonly ids: Int32Array;
  /** The first row to keep, and its token in the passage; all rows after it are kept. */
  readonly row: number;
  readonly token: number;
}

/** The tokens of a text, and those that stand before each of its windows. */
export interface WindowedText extends Encoding {
  readonly prefixIds: readonly number[];
}

/**
 * A text's tokens as a lens reads them. What a chat template wrote has special tokens in it, and no prefix but the one
 * that it begins with itself.
 */
export function windowedText(
  { tokenizer, prefixIds }: { readonly tokenizer: Tokenizer; readonly prefixIds: readonly number[] },
  text: string,
  templated = false,
): WindowedText {
  const { ids, ranges } = tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: templated });
  if (!templated) return { ids, ranges, prefixIds };
  const own = prefixIds.every((id, at) => ids[at] === id) ? prefixIds.length : 0;
  return { ids: ids.subarray(own), ranges: ranges.slice(own), prefixIds: prefixIds.slice(0, own) };
}

/**
 * A passage's windows of at most `window` ids, including the prefix, one after the other: each token is kept once,
 * preceded by a quarter of a window (at least one token) where the passage has as much. Checks the signal before
 * each.
 */
export function* filledWindows(
  ids: Int32Array,
  { window, prefixIds }: { readonly window: number; readonly prefixIds: readonly number[] },
  signal: AbortSignal,
): Generator<FilledWindow> {
  const capacity = window - prefixIds.length;
  const overlap = Math.min(capacity - 1, Math.ceil(capacity / 4));
  for (const { from, keep, to } of windowsOf(ids.length, capacity, overlap)) {
    signal.throwIfAborted();
    yield {
      ids: Int32Array.from([...prefixIds, ...ids.subarray(from, to)]),
      row: prefixIds.length + keep - from,
      token: keep,
    };
  }
}
