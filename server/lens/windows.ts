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
