/** A stretch of a passage's tokens that goes through the model at once: `from` to `to` are read, those from `keep` on are kept. */
export interface TokenWindow {
  readonly from: number;
  readonly keep: number;
  readonly to: number;
}

/**
 * Windows of at most `size` tokens over `count` tokens. Every token is kept once, with at least `overlap` tokens of the passage before it where
 * there are so many.
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

/** What a model reads at once of a passage: the ids, and which rows are kept for which tokens. */
export interface FilledWindow {
  /** With the prefix before them. */
  readonly ids: Int32Array;
  /** The first row that is kept, and the token of the passage that it is of; all after it are kept. */
  readonly row: number;
  readonly token: number;
}

/**
 * A passage's windows of at most `window` ids, the prefix included, one after the other: each token is kept once, with a quarter of a window before it
 * where there is so much, and at least one token. The signal is looked at before each.
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
