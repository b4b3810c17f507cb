import type { Floats } from "./linear-algebra.loops.ts";

/**
 * Adds over n rows the logistic loss log(1 + exp(-s (w·x + b))) for labels s = ±1; `at` is w followed by b. Returns the sum
 * and adds its gradient.
 */
export function addLogisticLoss(data: Floats, signs: Int8Array, at: Float64Array, gradient: Float64Array): number {
  const d = at.length - 1;
  let loss = 0;
  for (let i = 0, row = 0; i < signs.length; i++, row += d) {
    let score = at[d]!;
    for (let j = 0; j < d; j++) score += data[row + j]! * at[j]!;
    const sign = signs[i]!;
    const margin = sign * score;
    const odds = Math.exp(-Math.abs(margin));
    loss += Math.log1p(odds) + Math.max(0, -margin);
    const pull = (-sign * (margin > 0 ? odds : 1)) / (1 + odds);
    for (let j = 0; j < d; j++) gradient[j]! += pull * data[row + j]!;
    gradient[d]! += pull;
  }
  return loss;
}
