import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, logitsOf, type Model } from "./model.ts";

/**
 * Mean cross-entropy in nats of every token but the first, given the ones before it: what language models are trained on. Its program
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
