import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, logitsOf, type Model, plainPositions } from "./model.ts";

/**
 * Language-model loss: mean cross-entropy in nats of every token but the first, given the ones before it. Its program
 * takes the inputs of `forward` and `targets`, i32 [B * (T - 1)], as `targetsOf` makes them.
 */
export function nextTokenLoss(model: Pick<Model, "config" | "weights">, [B, T]: readonly [B: number, T: number]): Node {
  const rows = B * (T - 1);
  const { hidden } = forward(model, { shape: [B, T] });
  const predicting = ops.reshape(ops.slice(hidden, 1, 0, T - 1), [rows, -1]);
  return ops.crossEntropy(logitsOf(model, predicting), ops.input("targets", [rows], "i32"), ops.fill([rows], 1));
}

/** ids [B, T] without the first of every row. */
export function targetsOf(ids: Int32Array, [B, T]: readonly [B: number, T: number]): Int32Array {
  return Int32Array.from(
    { length: B * (T - 1) },
    (_, at) => ids[Math.floor(at / (T - 1)) * T + (at % (T - 1)) + 1] ?? 0,
  );
}

/** Texts as the inputs of a program that weights each prediction. Letters: B texts, T tokens. */
export type TextBatch = {
  /** [B, T], zeros after a text's end. */
  readonly ids: Int32Array;
  /** [B, T] */
  readonly positions: Int32Array;
  /** [B, T]: 1 for a token, 0 for padding. */
  readonly real: Float32Array;
  /** [B * (T - 1)] */
  readonly targets: Int32Array;
  /** [B * (T - 1)]: the weight of each prediction; 0 after a text's end. */
  readonly weights: Float32Array;
};

/** Up to B texts, cut to T tokens each. `weightOf` maps a text's number of predictions to the weight of each. */
export function textBatch(
  texts: readonly Int32Array[],
  [B, T]: readonly [B: number, T: number],
  weightOf: (predictions: number) => number,
): TextBatch {
  const ids = new Int32Array(B * T);
  const real = new Float32Array(B * T);
  const targets = new Int32Array(B * (T - 1));
  const weights = new Float32Array(B * (T - 1));
  for (const [b, text] of texts.entries()) {
    const own = text.subarray(0, T);
    const predictions = Math.max(0, own.length - 1);
    ids.set(own, b * T);
    real.fill(1, b * T, b * T + own.length);
    targets.set(own.subarray(1), b * (T - 1));
    weights.fill(weightOf(predictions), b * (T - 1), b * (T - 1) + predictions);
  }
  return { ids, positions: plainPositions([B, T]), real, targets, weights };
}
