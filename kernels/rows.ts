/**
 * Softmax and log-softmax over rows, forward and backward, and log-probabilities of one id per row. One workgroup per
 * row.
 */
import {
  defineKernel,
  foldedGrid,
  type Kernel,
  type Launch,
  lanesFor,
  lowest,
  maxAll,
  type Param,
  sumAll,
} from "./wgsl.ts";

export interface RowsShape {
  readonly rows: number;
  readonly columns: number;
}

export interface MaskedRows extends RowsShape {
  /** Rows that share one set of keys: row r is query r mod `queries`, at position r mod queries + columns - queries. */
  readonly queries: number;
  /** Whether a query attends only to keys at its own position and before. */
  readonly causal: boolean;
  /** Maximum number of those keys, the latest; 0: all. */
  readonly window: number;
}

const u32 = (...names: string[]): Param[] => names.map((name) => ({ name, type: "u32" }));

/** x [rows, columns] -> softmax over the columns that each row may attend to, 0 elsewhere. */
export function softmaxLaunch({ rows, columns, queries, causal, window }: MaskedRows): Launch {
  const size = lanesFor(columns);
  const body = `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  let place = group % p.queries + p.columns - p.queries;
  let end = select(p.columns, place + 1u, p.causal != 0u);
  let begin = select(0u, place + 1u - min(p.window, place + 1u), p.window != 0u);
  var top = ${lowest};
  for (var c = begin + lane; c < end; c += ${size}u) { top = max(top, x[base + c]); }
  top = maxAll(top, lane);
  var total = 0.0f;
  for (var c = begin + lane; c < end; c += ${size}u) { total += exp(x[base + c] - top); }
  let scale = 1.0f / sumAll(total, lane);
  for (var c = lane; c < p.columns; c += ${size}u) {
    var value = 0.0f;
    if (c >= begin && c < end) { value = exp(x[base + c] - top) * scale; }
    y[base + c] = value;
  }`;
  const kernel = rowKernel("softmax", ["x"], size, body, u32("rows", "columns", "queries", "causal", "window"));
  return { kernel, params: [rows, columns, queries, Number(causal), window], grid: foldedGrid(rows) };
}

/** (probabilities, dY) -> p (dY - sum(dY p)). */
export function softmaxGradLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "softmaxGrad",
    ["probs", "dY"],
    `
  var total = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) { total += probs[base + c] * dY[base + c]; }
  total = sumAll(total, lane);
  for (var c = lane; c < p.columns; c += ${size}u) { y[base + c] = probs[base + c] * (dY[base + c] - total); }`,
  );
}

/** `top` and `logTotal` of a row in one pass (online softmax): a new maximum rescales the sum so far. */
const logSumExp = (size: number): string => `
  var top = ${lowest};
  var total = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) {
    let value = x[base + c];
    if (value > top) {
      total = total * exp(top - value) + 1.0f;
      top = value;
    } else {
      total += exp(value - top);
    }
  }
  let own = top;
  top = maxAll(top, lane);
  let logTotal = log(sumAll(total * exp(own - top), lane));`;

/** log softmax of each row. */
export function logSoftmaxLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "logSoftmax",
    ["x"],
    `${logSumExp(size)}
  for (var c = lane; c < p.columns; c += ${size}u) { y[base + c] = (x[base + c] - top) - logTotal; }`,
  );
}

/** (log-probabilities, dY) -> dY - exp(logP) sum(dY). */
export function logSoftmaxGradLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "logSoftmaxGrad",
    ["logP", "dY"],
    `
  var total = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) { total += dY[base + c]; }
  total = sumAll(total, lane);
  for (var c = lane; c < p.columns; c += ${size}u) { y[base + c] = dY[base + c] - exp(logP[base + c]) * total; }`,
  );
}

/** (logits [N, V], ids [N]) -> log softmax at the id, [N]. */
export function gatherLogProbsLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "gatherLogProbs",
    ["x", "ids"],
    `${logSumExp(size)}
  if (lane == 0u) { y[group] = (x[base + u32(ids[group])] - top) - logTotal; }`,
  );
}

/**
 * (ids [N], dY [N], logits [N, V] in place) -> log softmax at the id, [N]; overwrites the logits with their gradient,
 * (onehot - softmax) dY.
 */
export function gatherLogProbsInPlaceLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "gatherLogProbs in place",
    ["ids", "dY"],
    `${logSumExp(size)}
  let id = u32(ids[group]);
  let slope = dY[group];
  if (lane == 0u) { y[group] = (x[base + id] - top) - logTotal; }
  // The entry at the id is read above, before anybody writes over it.
  storageBarrier();
  for (var c = lane; c < p.columns; c += ${size}u) {
    let hot = select(0.0f, 1.0f, c == id);
    x[base + c] = (hot - exp((x[base + c] - top) - logTotal)) * slope;
  }`,
    ["x", "y"],
  );
}

/** (logits [N, V], ids [N], dY [N]) -> (onehot - softmax) dY, [N, V]. */
export function gatherLogProbsGradLaunch(shape: RowsShape): Launch {
  const size = lanesFor(shape.columns);
  return rowLaunch(
    shape,
    "gatherLogProbsGrad",
    ["x", "ids", "dY"],
    `${logSumExp(size)}
  let id = u32(ids[group]);
  let slope = dY[group];
  for (var c = lane; c < p.columns; c += ${size}u) {
    let hot = select(0.0f, 1.0f, c == id);
    y[base + c] = (hot - exp((x[base + c] - top) - logTotal)) * slope;
  }`,
  );
}

function rowLaunch(
  { rows, columns }: RowsShape,
  name: string,
  reads: readonly string[],
  body: string,
  writes?: readonly string[],
): Launch {
  const begin = `
  if (group >= p.rows) { return; }
  let base = group * p.columns;`;
  const kernel = rowKernel(name, reads, lanesFor(columns), `${begin}${body}`, u32("rows", "columns"), writes);
  return { kernel, params: [rows, columns], grid: foldedGrid(rows) };
}

function rowKernel(
  name: string,
  reads: readonly string[],
  size: number,
  body: string,
  params: Param[],
  writes: readonly string[] = ["y"],
): Kernel {
  const functions = [body.includes("maxAll") ? maxAll(size) : "", body.includes("sumAll") ? sumAll(size) : ""];
  return defineKernel({
    name,
    bindings: [
      ...reads.map((read) => ({ name: read, type: read === "ids" ? "i32" : "f32", access: "read" }) as const),
      ...writes.map((write) => ({ name: write, type: "f32", access: "read_write" }) as const),
    ],
    params,
    size,
    declarations: functions.join(""),
    body,
  });
}
