/**
 * Prompts and completions as model inputs of one static shape.
 *
 * Letters: B completions, P prompt places, N completion places, T = P + N - 1 tokens read (the last token of a
 * completion is only predicted). Prompts are padded on the left and completions on the right, so place P - 1 + n
 * always predicts completion place n, and the head's product is computed for those N places only.
 */

import { invariant } from "../common/errors.ts";
import type { Values } from "../engine/graph.ts";
import { hiddenKeyBias } from "../models/architecture.ts";
import type { CompletionConfig } from "./sampling-config.ts";

export interface BatchShape {
  /** P */
  readonly promptPlaces: number;
  /** N */
  readonly completionPlaces: number;
}

/** The static shape that all batches of a tuning or a measurement share. */
export function shapeOf({ sampling: { promptTokens, newTokens }, text: { prependBos } }: CompletionConfig): BatchShape {
  return { promptPlaces: promptTokens.max + Number(prependBos), completionPlaces: newTokens.max };
}

/** A prompt and the tokens that the policy sampled after it, including an end-of-text token if it sampled one. */
export interface Episode {
  readonly prompt: Int32Array;
  /** At least one token. */
  readonly completion: Int32Array;
}

export interface CompletionBatch extends BatchShape {
  /** B */
  readonly rows: number;
  /** [B, T] */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly keyBias: Float32Array;
  /** The completions' tokens, [B, N]. */
  readonly targets: Int32Array;
  /** 1 where a completion has a token, [B, N]. */
  readonly mask: Float32Array;
}

/** Arranges episodes as a batch. A prompt longer than P or a completion longer than N is a defect of the caller. */
export function layOut(
  episodes: readonly Episode[],
  { promptPlaces: P, completionPlaces: N }: BatchShape,
): CompletionBatch {
  const B = episodes.length;
  const T = P + N - 1;
  const ids = new Int32Array(B * T);
  const positions = new Int32Array(B * T);
  const keyBias = new Float32Array(B * T);
  const targets = new Int32Array(B * N);
  const mask = new Float32Array(B * N);
  for (const [row, { prompt, completion }] of episodes.entries()) {
    invariant(prompt.length <= P && prompt.length > 0, `a prompt of ${prompt.length} tokens in ${P} places`);
    invariant(
      completion.length <= N && completion.length > 0,
      `a completion of ${completion.length} tokens in ${N} places`,
    );
    const pad = P - prompt.length;
    const read = Int32Array.from([...prompt, ...completion]).subarray(0, T - pad);
    ids.set(read, row * T + pad);
    for (let place = pad; place < T; place++) positions[row * T + place] = place - pad;
    keyBias.fill(hiddenKeyBias, row * T, row * T + pad);
    targets.set(completion, row * N);
    mask.fill(1, row * N, row * N + completion.length);
  }
  return { rows: B, promptPlaces: P, completionPlaces: N, ids, positions, keyBias, targets, mask };
}

/** The given rows of a batch, in the order given. */
export function rowsOf(batch: CompletionBatch, rows: readonly number[]): CompletionBatch {
  return {
    ...batch,
    rows: rows.length,
    ids: takeInts(batch.ids, rows, batch.rows),
    positions: takeInts(batch.positions, rows, batch.rows),
    keyBias: takeFloats(batch.keyBias, rows, batch.rows),
    targets: takeInts(batch.targets, rows, batch.rows),
    mask: takeFloats(batch.mask, rows, batch.rows),
  };
}

/** The given rows of a row-major array of `total` rows, as float32 for the device. */
export function takeFloats(values: ArrayLike<number>, rows: readonly number[], total: number): Float32Array {
  return take(values, rows, total, (length) => new Float32Array(length));
}

/** A batch as inputs of a program: those of `forward`, and `targets`. */
export function modelInputs({ ids, positions, keyBias, targets }: CompletionBatch): Record<string, Values> {
  return { ids, positions, keyBias, targets };
}

function takeInts(values: Int32Array, rows: readonly number[], total: number): Int32Array {
  return take(values, rows, total, (length) => new Int32Array(length));
}

function take<A extends Float32Array | Int32Array>(
  values: ArrayLike<number>,
  rows: readonly number[],
  total: number,
  create: (length: number) => A,
): A {
  const width = values.length / total;
  const taken = create(rows.length * width);
  for (const [to, from] of rows.entries())
    for (let at = 0; at < width; at++) taken[to * width + at] = values[from * width + at] ?? 0;
  return taken;
}
