/** Rows of features, from windows to a passage's tokens. */
import type { TokenGroup } from "../models/tokenizer.ts";
import type { FeatureColumns } from "./columns.ts";
import type { WindowFeatures } from "./programs.ts";
import type { DictionaryReading } from "./reading.ts";
import { SparseBuilder, type SparseRows } from "./sparse.loops.ts";

/** Appends the rows `from` to before `to` of a window. */
export function keepRows(
  rows: SparseBuilder,
  features: WindowFeatures,
  from: number,
  to: number,
  { spans }: FeatureColumns,
): void {
  for (let row = from; row < to; row++) {
    for (const { layer, start, end } of spans) {
      const values = features.get(layer);
      if (values !== undefined) rows.addDense(values, row * (end - start), end - start, start);
    }
    rows.endRow();
  }
}

/** Merges tokens that share characters into one, with the mean of their features. */
export function grouped(groups: readonly TokenGroup[], rows: SparseRows): DictionaryReading {
  const starts = Int32Array.from(groups, ({ start }) => start);
  const ends = Int32Array.from(groups, ({ end }) => end);
  if (groups.length === rows.rowStarts.length - 1) return { starts, ends, features: rows };
  const merged = new SparseBuilder();
  for (const { firstToken, endToken } of groups) {
    merged.addMean(rows, firstToken, endToken);
    merged.endRow();
  }
  return { starts, ends, features: merged.finish() };
}
