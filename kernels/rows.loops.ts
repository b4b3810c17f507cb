/** References for the kernels of rows.ts: plain loops in double precision. */
import type { MaskedRows, RowsShape } from "./rows.ts";

/** The range of columns that a row may attend to, end exclusive. */
export function visible(row: number, { columns, queries, causal, window }: MaskedRows): [begin: number, end: number] {
  const place = (row % queries) + columns - queries;
  return [window === 0 ? 0 : Math.max(0, place + 1 - window), causal ? place + 1 : columns];
}

export function softmaxReference(x: Float32Array, shape: MaskedRows): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < shape.rows; row++) {
    const [begin, end] = visible(row, shape);
    const base = row * shape.columns;
    let top = Number.NEGATIVE_INFINITY;
    for (let c = begin; c < end; c++) top = Math.max(top, x[base + c]!);
    let total = 0;
    for (let c = begin; c < end; c++) total += Math.exp(x[base + c]! - top);
    for (let c = begin; c < end; c++) y[base + c] = Math.exp(x[base + c]! - top) / total;
  }
  return y;
}

export function softmaxGradReference(
  probs: Float32Array,
  dY: Float32Array,
  { rows, columns }: RowsShape,
): Float64Array {
  const y = new Float64Array(probs.length);
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let at = row * columns; at < (row + 1) * columns; at++) total += probs[at]! * dY[at]!;
    for (let at = row * columns; at < (row + 1) * columns; at++) y[at] = probs[at]! * (dY[at]! - total);
  }
  return y;
}

export function logSoftmaxReference(x: Float32Array, { rows, columns }: RowsShape): Float64Array {
  const plain = { rows, columns, queries: 1, causal: false, window: 0 };
  return softmaxReference(x, plain).map((p, at) => (p > 0 ? Math.log(p) : logOfTiny(x, at, columns)));
}

/** Logit minus the row's maximum: the log-probability where the probability underflows even in double precision. */
function logOfTiny(x: Float32Array, at: number, columns: number): number {
  const base = at - (at % columns);
  let top = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < columns; c++) top = Math.max(top, x[base + c]!);
  return x[at]! - top;
}

export function logSoftmaxGradReference(
  logP: Float32Array,
  dY: Float32Array,
  { rows, columns }: RowsShape,
): Float64Array {
  const y = new Float64Array(logP.length);
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let at = row * columns; at < (row + 1) * columns; at++) total += dY[at]!;
    for (let at = row * columns; at < (row + 1) * columns; at++) y[at] = dY[at]! - Math.exp(logP[at]!) * total;
  }
  return y;
}

export function gatherLogProbsReference(x: Float32Array, ids: Int32Array, shape: RowsShape): Float64Array {
  const logP = logSoftmaxReference(x, shape);
  return Float64Array.from(ids, (id, row) => logP[row * shape.columns + id]!);
}

export function gatherLogProbsGradReference(
  x: Float32Array,
  ids: Int32Array,
  dY: Float32Array,
  shape: RowsShape,
): Float64Array {
  return logSoftmaxReference(x, shape).map((logP, at) => {
    const row = Math.floor(at / shape.columns);
    return (Number(at % shape.columns === ids[row]) - Math.exp(logP)) * dY[row]!;
  });
}
