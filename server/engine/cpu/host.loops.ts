/** Plain loops over typed arrays for operators that ONNX Runtime lacks or computes slower. */
import { NonFiniteError } from "../errors.ts";

/** result[ids[i], :] += rows[i, :], in the order of i. Ids outside the table throw `RangeError`. */
export function scatterAddRows(resultVD: Float32Array, ids: Int32Array, rowsND: Float32Array, D: number): void {
  const V = resultVD.length / D;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (id < 0 || id >= V) throw new RangeError(`row id ${id} at place ${i}; the table has ${V} rows`);
    const to = id * D;
    const from = i * D;
    for (let d = 0; d < D; d++) resultVD[to + d]! += rowsND[from + d]!;
  }
}

/** Zeroes only the rows that an earlier `scatterAddRows` from zeros wrote, instead of the whole table. */
export function clearRows(resultVD: Float32Array, ids: Int32Array, D: number): void {
  for (let i = 0; i < ids.length; i++) resultVD.fill(0, ids[i]! * D, (ids[i]! + 1) * D);
}

export interface SampleSettings {
  /** Only the k most probable tokens; 0: all. */
  readonly topK: number;
  /** Only the smallest set of most probable tokens that holds this much probability; 1: all. */
  readonly topP: number;
  readonly greedy: boolean;
  /** Ids that must not be drawn. */
  readonly banned: readonly number[];
  /** Ids from here on must not be drawn either: models pad their vocabulary with unused ids. */
  readonly limit: number;
}

/**
 * Samples one token per row: the most probable one when greedy, else by inverting the distribution at uniforms[n] in
 * [0, 1), within the tokens that top-k and then top-p leave. Ties go to the lower id. Sets probabilities of banned
 * ids to 0 in place. Throws `NonFiniteError` for a row that is NaN.
 */
export function sampleRows(
  probsNV: Float32Array,
  uniforms: Float32Array,
  settings: SampleSettings,
  V: number,
): Int32Array {
  const N = probsNV.length / V;
  const ids = new Int32Array(N);
  const whole = (settings.topK <= 0 || settings.topK >= settings.limit) && settings.topP >= 1;
  for (let n = 0; n < N; n++) {
    const row = probsNV.subarray(n * V, n * V + Math.min(V, settings.limit));
    // After a softmax, either all of a row is NaN or none.
    if (Number.isNaN(row[0]!)) throw new NonFiniteError(`row ${n} of the sampling probabilities`, undefined, row[0]!);
    for (const id of settings.banned) row[id] = 0;
    if (settings.greedy) ids[n] = argmax(row);
    else if (whole) ids[n] = invert(row, uniforms[n]!);
    else ids[n] = invertWithin(row, uniforms[n]!, settings);
  }
  return ids;
}

/** The index of the first value that is NaN or infinite, or -1. */
export function findNonFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return i;
  return -1;
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let v = 1; v < row.length; v++) if (row[v]! > row[best]!) best = v;
  return best;
}

function invert(row: Float32Array, uniform: number): number {
  let total = 0;
  for (let v = 0; v < row.length; v++) total += row[v]!;
  let rest = uniform * total;
  let last = 0;
  for (let v = 0; v < row.length; v++) {
    const p = row[v]!;
    if (p <= 0) continue;
    last = v;
    rest -= p;
    if (rest < 0) return v;
  }
  return last;
}

function invertWithin(row: Float32Array, uniform: number, { topK, topP }: SampleSettings): number {
  const order = Uint32Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
  let kept = topK > 0 ? Math.min(topK, order.length) : order.length;
  let total = 0;
  for (let i = 0; i < kept; i++) total += row[order[i]!]!;
  const enough = topP * total;
  let held = 0;
  for (let i = 0; i < kept; i++) {
    held += row[order[i]!]!;
    if (held >= enough) kept = i + 1;
  }
  let rest = uniform * held;
  for (let i = 0; i < kept; i++) {
    rest -= row[order[i]!]!;
    if (rest < 0) return order[i]!;
  }
  return order[Math.max(0, kept - 1)]!;
}
