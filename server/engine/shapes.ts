import { ShapeMismatchError } from "./errors.ts";
import {
  type AttentionMask,
  type DType,
  type Node,
  type OpAttrs,
  type OpKind,
  type Reduction,
  type Shape,
  sameShape,
  sizeOf,
} from "./graph.ts";

/** Infers an operator's result from its inputs. Throws `ShapeMismatchError` when they do not fit. */
export type ShapeRule<K extends OpKind> = (
  inputs: readonly Node[],
  attrs: OpAttrs[K],
) => { shape: Shape; dtype: DType };

/** One rule for every operator. */
export const shapeRules: { [K in OpKind]: ShapeRule<K> } = {
  input: leaf,
  state: leaf,
  constant: (inputs, { shape, values }) => {
    require(inputs.length === 0 &&
      sizeOf(shape) === values.length, "constant", inputs, `${sizeOf(shape)} values, not ${values.length}`);
    return { shape, dtype: values instanceof Float32Array ? "f32" : "i32" };
  },
  fill: (inputs, { shape }) => {
    take("fill", inputs, 0);
    return f32(shape);
  },
  matmul: (inputs, attrs) => f32(matmulShape(inputs, attrs)),
  embedding: (inputs) => {
    const [table, ids] = take("embedding", inputs, 2);
    require(rank(table) === 2 && isIds(ids), "embedding", inputs, "a table [V, D] and i32 ids");
    return f32([...shapeOf(ids), last(table)]);
  },
  scatterAddRows: (inputs) => {
    const [base, ids, rows] = take("scatterAddRows", inputs, 3);
    const fits = rank(base) === 2 && isIds(ids) && sameShape(shapeOf(rows), [...shapeOf(ids), last(base)]);
    require(fits, "scatterAddRows", inputs, "a base [V, D], i32 ids [...] and rows [..., D]");
    return f32(shapeOf(base));
  },
  embeddingBag: (inputs) => {
    const [table, ids, weights] = take("embeddingBag", inputs, 3);
    const fits = rank(table) === 2 && isBag(ids) && sameShape(shapeOf(weights), shapeOf(ids));
    require(fits, "embeddingBag", inputs, "a table [V, D], i32 ids [N, K] and weights [N, K]");
    return f32([extentOf(ids, 0), last(table)]);
  },
  embeddingBagGradWeights: (inputs) => {
    const [table, ids, dY] = take("embeddingBagGradWeights", inputs, 3);
    const fits = rank(table) === 2 && isBag(ids) && sameShape(shapeOf(dY), [extentOf(ids, 0), last(table)]);
    require(fits, "embeddingBagGradWeights", inputs, "a table [V, D], i32 ids [N, K] and dY [N, D]");
    return f32(shapeOf(ids));
  },
  embeddingBagGradTable: (inputs) => {
    const [base, ids, weights, dY] = take("embeddingBagGradTable", inputs, 4);
    const fits =
      rank(base) === 2 &&
      isBag(ids) &&
      sameShape(shapeOf(weights), shapeOf(ids)) &&
      sameShape(shapeOf(dY), [extentOf(ids, 0), last(base)]);
    require(fits, "embeddingBagGradTable", inputs, "a base [V, D], i32 ids [N, K], weights [N, K] and dY [N, D]");
    return f32(shapeOf(base));
  },
  layerNorm: (inputs) => norm("layerNorm", inputs, 3),
  layerNormGradX: (inputs) => normGradX("layerNormGradX", inputs),
  layerNormGradGamma: (inputs) => normGradGamma("layerNormGradGamma", inputs),
  rmsNorm: (inputs) => norm("rmsNorm", inputs, 2),
  rmsNormGradX: (inputs) => normGradX("rmsNormGradX", inputs),
  rmsNormGradGamma: (inputs) => normGradGamma("rmsNormGradGamma", inputs),
  softmax: softmaxShape,
  softmaxGrad: (inputs) => equalShapes("softmaxGrad", inputs),
  logSoftmax: (inputs) => same("logSoftmax", inputs),
  logSoftmaxGrad: (inputs) => equalShapes("logSoftmaxGrad", inputs),
  gatherLogProbs: (inputs) => {
    const [logits, ids] = take("gatherLogProbs", inputs, 2);
    require(rank(logits) === 2 &&
      isIds(ids) &&
      sameShape(shapeOf(ids), shapeOf(logits).slice(0, 1)), "gatherLogProbs", inputs, "logits [N, V] and i32 ids [N]");
    return f32(shapeOf(ids));
  },
  gatherLogProbsGrad: (inputs) => {
    const [logits, ids, dY] = take("gatherLogProbsGrad", inputs, 3);
    require(rank(logits) === 2 &&
      isIds(ids) &&
      sameShape(shapeOf(ids), shapeOf(dY)), "gatherLogProbsGrad", inputs, "logits [N, V], ids [N], dY [N]");
    return f32(shapeOf(logits));
  },
  rotary: (inputs, { rotaryDims }) => {
    const [x, positions] = take("rotary", inputs, 2);
    const fits = rank(x) === 4 && isIds(positions) && sameShape(shapeOf(positions), shapeOf(x).slice(0, 2));
    require(fits &&
      rotaryDims % 2 === 0 &&
      rotaryDims <=
        last(x), "rotary", inputs, `x [B, T, H, D] with D >= ${rotaryDims}, even, and i32 positions [B, T]`);
    return f32(shapeOf(x));
  },
  gelu: (inputs) => same("gelu", inputs),
  geluGrad: (inputs) => equalShapes("geluGrad", inputs),
  geluTanh: (inputs) => same("geluTanh", inputs),
  geluTanhGrad: (inputs) => equalShapes("geluTanhGrad", inputs),
  relu: (inputs) => same("relu", inputs),
  silu: (inputs) => same("silu", inputs),
  sigmoid: (inputs) => same("sigmoid", inputs),
  softplus: (inputs) => same("softplus", inputs),
  tanh: (inputs) => same("tanh", inputs),
  exp: (inputs) => same("exp", inputs),
  log: (inputs) => same("log", inputs),
  sqrt: (inputs) => same("sqrt", inputs),
  square: (inputs) => same("square", inputs),
  reciprocal: (inputs) => same("reciprocal", inputs),
  negate: (inputs) => same("negate", inputs),
  abs: (inputs) => same("abs", inputs),
  stopGradient: (inputs) => same("stopGradient", inputs),
  add: (inputs) => broadcast("add", inputs),
  sub: (inputs) => broadcast("sub", inputs),
  mul: (inputs) => broadcast("mul", inputs),
  div: (inputs) => broadcast("div", inputs),
  minimum: (inputs) => broadcast("minimum", inputs),
  maximum: (inputs) => broadcast("maximum", inputs),
  greater: (inputs) => broadcast("greater", inputs),
  where: (inputs) => {
    take("where", inputs, 3);
    return broadcast("where", inputs);
  },
  affine: (inputs) => same("affine", inputs),
  clip: (inputs) => same("clip", inputs),
  sum: (inputs, attrs) => reduce("sum", inputs, attrs),
  mean: (inputs, attrs) => reduce("mean", inputs, attrs),
  max: (inputs, attrs) => reduce("max", inputs, attrs),
  reshape: (inputs, { shape }) => {
    const [x] = take("reshape", inputs, 1);
    require(sizeOf(shape) ===
      sizeOf(shapeOf(x)), "reshape", inputs, `${sizeOf(shape)} elements for [${shape.join(", ")}]`);
    return { shape, dtype: dtypeOf(x) };
  },
  transpose: (inputs, { perm }) => {
    const [x] = take("transpose", inputs, 1);
    require(perm.length === rank(x) &&
      perm
        .toSorted((a, b) => a - b)
        .every((axis, i) => axis === i), "transpose", inputs, `as many axes as the permutation [${perm.join(", ")}]`);
    return { shape: perm.map((axis) => extentOf(x, axis)), dtype: dtypeOf(x) };
  },
  slice: (inputs, { axis, start, end }) => {
    const [x] = take("slice", inputs, 1);
    require(axis < rank(x) &&
      start >= 0 &&
      start < end &&
      end <= extentOf(x, axis), "slice", inputs, `an axis ${axis} that holds ${start} to ${end}`);
    return { shape: shapeOf(x).with(axis, end - start), dtype: dtypeOf(x) };
  },
  pad: (inputs, { axis, before, after }) => {
    const [x] = take("pad", inputs, 1);
    require(axis < rank(x) && before >= 0 && after >= 0, "pad", inputs, `an axis ${axis}`);
    return f32(shapeOf(x).with(axis, before + extentOf(x, axis) + after));
  },
  concat: (inputs, { axis }) => {
    const [first, ...rest] = inputs;
    require(first !== undefined &&
      rest.every((x) =>
        sameShape(x.shape.with(axis, 0), first.shape.with(axis, 0)),
      ), "concat", inputs, `shapes that differ in axis ${axis} only`);
    const total = inputs.reduce((sum, x) => sum + extentOf(x, axis), 0);
    return { shape: shapeOf(first).with(axis, total), dtype: dtypeOf(first) };
  },
  broadcastTo: (inputs, { shape }) => {
    const [x] = take("broadcastTo", inputs, 1);
    const result = broadcastShapes(shapeOf(x), shape);
    require(result !== undefined &&
      sameShape(result, shape), "broadcastTo", inputs, `a shape that broadcasts to [${shape.join(", ")}]`);
    return f32(shape);
  },
  keepTopK: (inputs, { k }) => {
    topK("keepTopK", inputs, k);
    return same("keepTopK", inputs);
  },
  topKValues: (inputs, { k }) => f32(topK("topKValues", inputs, k)),
  topKIndices: (inputs, { k }) => ({ shape: topK("topKIndices", inputs, k), dtype: "i32" }),
  gatherRow: (inputs) => {
    const [x, ids] = take("gatherRow", inputs, 2);
    require(rank(x) === 2 &&
      isIds(ids) &&
      rank(ids) === 2 &&
      extentOf(x, 0) === extentOf(ids, 0), "gatherRow", inputs, "x [N, V] and i32 ids [N, K]");
    return f32(shapeOf(ids));
  },
  scatterRow: (inputs, { width }) => {
    const [values, ids] = take("scatterRow", inputs, 2);
    require(rank(values) === 2 &&
      isIds(ids) &&
      sameShape(shapeOf(values), shapeOf(ids)), "scatterRow", inputs, "values [N, K] and i32 ids [N, K]");
    return f32([extentOf(values, 0), width]);
  },
  sampleRows: (inputs) => {
    const [probs, uniforms, settings] = take("sampleRows", inputs, 3);
    const fits =
      rank(probs) === 2 &&
      sameShape(shapeOf(uniforms), shapeOf(probs).slice(0, 1)) &&
      sameShape(shapeOf(settings), [4]);
    require(fits, "sampleRows", inputs, "probabilities [N, V], uniforms [N] and settings [4]");
    return { shape: shapeOf(uniforms), dtype: "i32" };
  },
};

/** The shape that two shapes broadcast to (trailing axes aligned), or undefined. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const result: number[] = [];
  for (let back = 1; back <= Math.max(a.length, b.length); back++) {
    const left = a.at(-back) ?? 1;
    const right = b.at(-back) ?? 1;
    if (back > a.length) result.unshift(right);
    else if (back > b.length) result.unshift(left);
    else if (left === right || right === 1) result.unshift(left);
    else if (left === 1) result.unshift(right);
    else return undefined;
  }
  return result;
}

/** Added to a masked score or logit: the probability becomes exactly 0, and the sum stays finite. */
export const maskedScore = -1e30;

/** True where query row i (of Q) may see key column j (of K). */
export function maskAllows(mask: AttentionMask, window: number, back: number): boolean {
  return mask === "none" || (back >= 0 && (mask === "causal" || back < window));
}

function leaf(inputs: readonly Node[], attrs: { shape: Shape; dtype: DType }): { shape: Shape; dtype: DType } {
  take("input", inputs, 0);
  return attrs;
}

function matmulShape(inputs: readonly Node[], { transA, transB }: OpAttrs["matmul"]): Shape {
  const [a, b] = take("matmul", inputs, 2);
  const [rowsA, colsA] = matrixOf(a, transA);
  const [rowsB, colsB] = matrixOf(b, transB);
  const batch = shapeOf(a).slice(0, -2);
  const batched = rank(b) === 2 || sameShape(batch, shapeOf(b).slice(0, -2));
  const fits = rank(a) >= 2 && rank(b) >= 2 && colsA === rowsB && batched && !(transA && rank(a) > 2 && rank(b) === 2);
  const text = `inner extents that agree (transA ${transA}, transB ${transB}) and equal batch axes or a two-axis right operand`;
  require(fits, "matmul", inputs, text);
  return [...batch, rowsA, colsB];
}

function matrixOf(node: Node | undefined, transposed: boolean): [number, number] {
  const rows = node?.shape.at(-2) ?? 0;
  const cols = node?.shape.at(-1) ?? 0;
  return transposed ? [cols, rows] : [rows, cols];
}

function softmaxShape(inputs: readonly Node[], { mask, window }: OpAttrs["softmax"]): { shape: Shape; dtype: DType } {
  const [x] = take("softmax", inputs, 1);
  const masked = mask !== "none";
  const fits = !masked || (rank(x) >= 2 && last(x) >= extentOf(x, rank(x) - 2) && (mask !== "local" || window >= 1));
  require(rank(x) >= 1 &&
    fits, "softmax", inputs, "scores [..., Q, K] with K >= Q, and a window of at least 1 when local");
  return f32(shapeOf(x));
}

function norm(op: OpKind, inputs: readonly Node[], arity: number): { shape: Shape; dtype: DType } {
  const [x, ...weights] = take(op, inputs, arity);
  require(rank(x) >= 1 &&
    weights.every((w) => sameShape(w.shape, [last(x)])), op, inputs, "x [..., D] and weights [D]");
  return f32(shapeOf(x));
}

function normGradX(op: OpKind, inputs: readonly Node[]): { shape: Shape; dtype: DType } {
  const [x, gamma, dY] = take(op, inputs, 3);
  require(sameShape(shapeOf(x), shapeOf(dY)) &&
    sameShape(shapeOf(gamma), [last(x)]), op, inputs, "x [..., D], gamma [D], dY like x");
  return f32(shapeOf(x));
}

function normGradGamma(op: OpKind, inputs: readonly Node[]): { shape: Shape; dtype: DType } {
  const [x, dY] = take(op, inputs, 2);
  require(sameShape(shapeOf(x), shapeOf(dY)), op, inputs, "x and dY of one shape");
  return f32([last(x)]);
}

function same(op: OpKind, inputs: readonly Node[]): { shape: Shape; dtype: DType } {
  const [x] = take(op, inputs, 1);
  require(dtypeOf(x) === "f32", op, inputs, "f32");
  return f32(shapeOf(x));
}

function equalShapes(op: OpKind, inputs: readonly Node[]): { shape: Shape; dtype: DType } {
  const [a, b] = take(op, inputs, 2);
  require(sameShape(shapeOf(a), shapeOf(b)), op, inputs, "two operands of one shape");
  return f32(shapeOf(a));
}

function broadcast(op: OpKind, inputs: readonly Node[]): { shape: Shape; dtype: DType } {
  require(inputs.length >= 2 && inputs.every((x) => x.dtype === "f32"), op, inputs, "two or more f32 operands");
  let shape: Shape | undefined = [];
  for (const input of inputs) shape = shape === undefined ? undefined : broadcastShapes(shape, input.shape);
  if (shape === undefined) throw new ShapeMismatchError(op, inputs, "shapes that broadcast together");
  return f32(shape);
}

function reduce(op: OpKind, inputs: readonly Node[], { axes, keepDims }: Reduction): { shape: Shape; dtype: DType } {
  const [x] = take(op, inputs, 1);
  require(axes.length > 0 &&
    axes.every((axis) => axis >= 0 && axis < rank(x)), op, inputs, `axes [${axes.join(", ")}] inside the shape`);
  const kept = shapeOf(x).flatMap((extent, axis) => {
    if (!axes.includes(axis)) return [extent];
    return keepDims ? [1] : [];
  });
  return f32(kept);
}

function topK(op: OpKind, inputs: readonly Node[], k: number): Shape {
  const [x] = take(op, inputs, 1);
  require(rank(x) >= 1 && k >= 1 && k <= last(x), op, inputs, `a last axis of at least k = ${k}`);
  return shapeOf(x).with(-1, k);
}

function take(op: OpKind, inputs: readonly Node[], arity: number): readonly Node[] {
  require(inputs.length === arity, op, inputs, `${arity} operands`);
  return inputs;
}

function require(condition: boolean, op: OpKind, inputs: readonly Node[], expected: string): void {
  if (!condition) throw new ShapeMismatchError(op, inputs, expected);
}

// The helpers below read operands whose presence `take` has checked.
function shapeOf(node: Node | undefined): Shape {
  return node?.shape ?? [];
}

function dtypeOf(node: Node | undefined): DType {
  return node?.dtype ?? "f32";
}

function rank(node: Node | undefined): number {
  return shapeOf(node).length;
}

function extentOf(node: Node | undefined, axis: number): number {
  return shapeOf(node)[axis] ?? 0;
}

function last(node: Node | undefined): number {
  return shapeOf(node).at(-1) ?? 0;
}

function isIds(node: Node | undefined): boolean {
  return node?.dtype === "i32";
}

function isBag(node: Node | undefined): boolean {
  return isIds(node) && rank(node) === 2;
}

function f32(shape: Shape): { shape: Shape; dtype: DType } {
  return { shape, dtype: "f32" };
}
