import type { Node, NodeOf, OpKind, Reduction, Shape } from "../graph.ts";
import { sizeOf } from "../graph.ts";
import { rotaryFrequencies, rotaryTableName } from "../rotary.ts";
import { maskAllows, maskedScore } from "../shapes.ts";
import { type Emitter, float32, type Value } from "./emitter.ts";
import { joined } from "./joins.ts";
import { lowerOnNarrow } from "./narrow.ts";
import { lowerMatmul } from "./products.ts";

/** Emits one node's ONNX and returns the value that holds its result. */
export type LoweringRule<K extends OpKind> = (node: NodeOf<K>, inputs: readonly Value[], emitter: Emitter) => Value;

/** Lowers a node whose inputs have been lowered. */
export function lowerNode<K extends OpKind>(node: NodeOf<K>, emitter: Emitter): Value {
  const onNarrow = lowerOnNarrow(node, emitter);
  if (onNarrow !== undefined) return onNarrow;
  const rule: LoweringRule<K> = loweringRules[node.op];
  return rule(
    node,
    node.inputs.map((input) => emitter.valueOf(input)),
    emitter,
  );
}

/** One rule for every operator. Leaves are bound by the device before lowering begins. */
const loweringRules: { readonly [K in OpKind]: LoweringRule<K> } = {
  input: boundBefore,
  state: boundBefore,
  constant: ({ dtype, shape, attrs }, _, e) => e.initializer(dtype, shape, attrs.values),
  fill: ({ shape, attrs }, _, e) => lowerFill(shape, attrs.value, e),
  matmul: (node, [a, b], e) => lowerMatmul(node, [of(a), of(b)], e),
  embedding: (_, [table, ids], e) => e.emit("Gather", [of(table), of(ids)], { axis: 0 }),
  scatterAddRows: (_, [base, ids, rows], e) => {
    const indices = e.emit("Unsqueeze", [e.emit("Cast", [of(ids)], { to: int64 }), e.ints([-1])]);
    return e.emit("ScatterND", [of(base), indices, of(rows)], { reduction: "add" });
  },
  embeddingBag: (node, [table, ids, weights], e) =>
    isFewOfMany(node)
      ? timesBags(weights, bagRows(table, ids, e), false, e)
      : e.emit("Gemm", [bagMatrix(node, ids, weights, e), of(table)]),
  embeddingBagGradWeights: (node, [table, ids, dY], e) =>
    isFewOfMany(node)
      ? timesBags(dY, bagRows(table, ids, e), true, e)
      : e.emit("GatherElements", [e.emit("Gemm", [of(dY), of(table)], { transB: 1 }), of(ids)], { axis: 1 }),
  embeddingBagGradTable: (node, [base, ids, weights, dY], e) => {
    const onto = isZeros(node.inputs[0]) ? [] : [of(base)];
    return e.emit("Gemm", [bagMatrix(node, ids, weights, e), of(dY), ...onto], { transA: 1 });
  },
  layerNorm: ({ attrs }, [x, gamma, beta], e) => {
    const [y = "", mean = "", invStd = ""] = e.emitMany("LayerNormalization", [of(x), of(gamma), of(beta)], 3, {
      axis: -1,
      epsilon: { float: attrs.eps },
    });
    e.once(layerStatsKey(x, attrs.eps), () => [mean, invStd]);
    return y;
  },
  layerNormGradX: ({ attrs }, [x, gamma, dY], e) => {
    const { xHat, invStd } = layerXHat(of(x), attrs.eps, e);
    return normGradX(of(dY), of(gamma), xHat, invStd, true, e);
  },
  layerNormGradGamma: ({ attrs, inputs }, [x, dY], e) =>
    sumRows(e.emit("Mul", [of(dY), layerXHat(of(x), attrs.eps, e).xHat]), inputs[0], e),
  rmsNorm: ({ attrs }, [x, gamma], e) => e.emit("Mul", [rmsXHat(of(x), attrs.eps, e).xHat, of(gamma)]),
  rmsNormGradX: ({ attrs }, [x, gamma, dY], e) => {
    const { xHat, invStd } = rmsXHat(of(x), attrs.eps, e);
    return normGradX(of(dY), of(gamma), xHat, invStd, false, e);
  },
  rmsNormGradGamma: ({ attrs, inputs }, [x, dY], e) =>
    sumRows(e.emit("Mul", [of(dY), rmsXHat(of(x), attrs.eps, e).xHat]), inputs[0], e),
  softmax: (node, [x], e) => {
    const { mask, window } = node.attrs;
    const scores = mask === "none" ? of(x) : e.emit("Add", [of(x), maskBias(node.shape, mask, window, e)]);
    return e.emit("Softmax", [scores], { axis: -1 });
  },
  softmaxGrad: (_, [p, dP], e) => {
    const weighted = e.emit("Mul", [of(p), of(dP)]);
    const total = e.emit("ReduceSum", [weighted, e.ints([-1])], { keepdims: 1 });
    return e.emit("Sub", [weighted, e.emit("Mul", [of(p), total])]);
  },
  logSoftmax: (_, [x], e) => e.emit("LogSoftmax", [of(x)], { axis: -1 }),
  logSoftmaxGrad: (_, [y, dY], e) => {
    const total = e.emit("ReduceSum", [of(dY), e.ints([-1])], { keepdims: 1 });
    return e.emit("Sub", [of(dY), e.emit("Mul", [e.emit("Exp", [of(y)]), total])]);
  },
  gatherLogProbs: (_, [logits, ids], e) => {
    const logProbs = logSoftmaxRows(of(logits), e);
    return e.emit("Squeeze", [e.emit("GatherElements", [logProbs, column(ids, e)], { axis: 1 }), e.ints([1])]);
  },
  // d logits = (softmax - onehot) * -dY, row by row
  gatherLogProbsGrad: (node, [logits, ids, dY], e) => {
    const probabilities = e.emit("Exp", [logSoftmaxRows(of(logits), e)]);
    const updates = e.float(-1, [node.shape[0] ?? 0, 1]);
    const difference = e.emit("ScatterElements", [probabilities, column(ids, e), updates], {
      axis: 1,
      reduction: "add",
    });
    return e.scaleRows({ rows: difference, scale: column(e.emit("Neg", [of(dY)]), e) });
  },
  rotary: lowerRotary,
  // In this order ONNX Runtime fuses the chain into one Gelu, unless a gradient shares a part of it.
  gelu: (_, [x], e) => e.emit("Mul", [e.emit("Mul", [of(x), twiceNormalCdf(of(x), e)]), e.float(0.5)]),
  // Phi(x) + x phi(x)
  geluGrad: (_, [x, dY], e) => {
    const density = e.emit("Exp", [e.emit("Mul", [e.emit("Mul", [of(x), of(x)]), e.float(-0.5)])]);
    const slope = e.emit("Mul", [e.emit("Mul", [of(x), density]), e.float(1 / Math.sqrt(2 * Math.PI))]);
    const cdf = e.emit("Mul", [twiceNormalCdf(of(x), e), e.float(0.5)]);
    return e.emit("Mul", [of(dY), e.emit("Add", [cdf, slope])]);
  },
  // FastGelu of ONNX Runtime is this formula and 2.7 times as fast as Gelu(approximate=tanh)
  geluTanh: (_, [x], e) => e.emit("ms.FastGelu", [of(x)]),
  geluTanhGrad: lowerGeluTanhGrad,
  relu: (_, [x], e) => e.emit("Relu", [of(x)]),
  silu: (_, [x], e) => e.emit("Mul", [of(x), e.emit("Sigmoid", [of(x)])]),
  sigmoid: (_, [x], e) => e.emit("Sigmoid", [of(x)]),
  softplus: (_, [x], e) => e.emit("Softplus", [of(x)]),
  tanh: (_, [x], e) => e.emit("Tanh", [of(x)]),
  exp: (_, [x], e) => e.emit("Exp", [of(x)]),
  log: (_, [x], e) => e.emit("Log", [of(x)]),
  sqrt: (_, [x], e) => e.emit("Sqrt", [of(x)]),
  square: (_, [x], e) => e.emit("Mul", [of(x), of(x)]),
  reciprocal: (_, [x], e) => e.emit("Reciprocal", [of(x)]),
  negate: (_, [x], e) => e.emit("Neg", [of(x)]),
  abs: (_, [x], e) => e.emit("Abs", [of(x)]),
  stopGradient: (_, [x], e) => e.emit("Identity", [of(x)]),
  add: (node, inputs, e) => joined(node, e) ?? e.emit("Add", inputs),
  sub: (_, inputs, e) => e.emit("Sub", inputs),
  mul: (_, inputs, e) => e.emit("Mul", inputs),
  div: (_, inputs, e) => e.emit("Div", inputs),
  minimum: (_, inputs, e) => e.emit("Min", inputs),
  maximum: (_, inputs, e) => e.emit("Max", inputs),
  greater: (_, inputs, e) => e.emit("Cast", [e.emit("Greater", inputs)], { to: float32 }),
  where: (_, [condition, a, b], e) => e.emit("Where", [e.emit("Cast", [of(condition)], { to: bool }), of(a), of(b)]),
  affine: ({ attrs: { mul, add } }, [x], e) => {
    const scaled = mul === 1 ? of(x) : e.emit("Mul", [of(x), e.float(mul)]);
    return add === 0 ? scaled : e.emit("Add", [scaled, e.float(add)]);
  },
  clip: ({ attrs: { low, high } }, [x], e) => e.emit("Clip", [of(x), e.float(low), e.float(high)]),
  sum: (node, [x], e) => reduce("ReduceSum", of(x), node.attrs, e),
  mean: (node, [x], e) => reduce("ReduceMean", of(x), node.attrs, e),
  max: (node, [x], e) => reduce("ReduceMax", of(x), node.attrs, e),
  reshape: ({ shape, inputs }, [x], e) => e.reshaped(of(x), inputs[0]?.shape ?? [], shape),
  transpose: ({ attrs }, [x], e) => e.emit("Transpose", [of(x)], { perm: attrs.perm }),
  slice: ({ attrs: { axis, start, end } }, [x], e) =>
    e.emit("Slice", [of(x), e.ints([start]), e.ints([end]), e.ints([axis])]),
  pad: ({ attrs: { axis, before, after } }, [x], e) =>
    e.emit("Pad", [of(x), e.ints([before, after]), "", e.ints([axis])]),
  concat: ({ attrs }, inputs, e) => e.emit("Concat", inputs, { axis: attrs.axis }),
  broadcastTo: ({ shape }, [x], e) => e.emit("Expand", [of(x), e.ints(shape)]),
  keepTopK: ({ attrs, shape }, [x], e) => {
    const [values = "", indices = ""] = topK(of(x), attrs.k, e);
    return e.emit("ScatterElements", [lowerFill(shape, 0, e), indices, values], { axis: -1 });
  },
  topKValues: ({ attrs }, [x], e) => of(topK(of(x), attrs.k, e)[0]),
  topKIndices: ({ attrs }, [x], e) => e.emit("Cast", [of(topK(of(x), attrs.k, e)[1])], { to: int32 }),
  gatherRow: (_, [x, ids], e) => e.emit("GatherElements", [of(x), of(ids)], { axis: 1 }),
  scatterRow: ({ shape }, [values, ids], e) => scatteredRow(shape, values, ids, e),
  sampleRows: ({ op }) => {
    throw new TypeError(`${op} has no ONNX form: its result may only be an output, which the device computes itself`);
  },
};

const int32 = 6;
const int64 = 7;
const bool = 9;

function boundBefore(node: NodeOf<"input"> | NodeOf<"state">): never {
  throw new TypeError(`${node.op} '${node.attrs.name}' was not bound before lowering`);
}

function lowerFill(shape: Shape, value: number, e: Emitter): Value {
  if (sizeOf(shape) <= 1024) return e.float(value, shape);
  return e.emit("Expand", [e.float(value), e.ints(shape)]);
}

function maskBias(shape: Shape, mask: NodeOf<"softmax">["attrs"]["mask"], window: number, e: Emitter): Value {
  const [Q = 0, K = 0] = shape.slice(-2);
  const [bias] = e.once(`mask ${mask} ${window} ${Q} ${K}`, () => {
    const values = new Float32Array(Q * K);
    // Large enough that exp underflows to exactly 0, small enough that adding a score stays finite.
    for (let at = 0; at < values.length; at++)
      values[at] = maskAllows(mask, window, Math.floor(at / K) + K - Q - (at % K)) ? 0 : maskedScore;
    return [e.initializer("f32", [Q, K], values)];
  });
  return of(bias);
}

function layerStatsKey(x: Value | undefined, eps: number): string {
  return `layer norm statistics ${x} ${eps}`;
}

function layerXHat(x: Value, eps: number, e: Emitter): { xHat: Value; invStd: Value } {
  const [mean, invStd] = e.once(layerStatsKey(x, eps), () => {
    const centre = e.emit("ReduceMean", [x, e.ints([-1])], { keepdims: 1 });
    return [centre, inverseRoot(e.emit("Sub", [x, centre]), eps, e)];
  });
  const [xHat] = e.once(`layer norm xHat ${x} ${eps}`, () => [
    e.emit("Mul", [e.emit("Sub", [x, of(mean)]), of(invStd)]),
  ]);
  return { xHat: of(xHat), invStd: of(invStd) };
}

function rmsXHat(x: Value, eps: number, e: Emitter): { xHat: Value; invStd: Value } {
  const [xHat, invStd] = e.once(`rms norm ${x} ${eps}`, () => {
    const scale = inverseRoot(x, eps, e);
    return [e.emit("Mul", [x, scale]), scale];
  });
  return { xHat: of(xHat), invStd: of(invStd) };
}

/** 1 / sqrt(mean of squares of each row + eps). */
function inverseRoot(x: Value, eps: number, e: Emitter): Value {
  const meanSquare = e.emit("ReduceMean", [e.emit("Mul", [x, x]), e.ints([-1])], { keepdims: 1 });
  return e.emit("Reciprocal", [e.emit("Sqrt", [e.emit("Add", [meanSquare, e.float(eps)])])]);
}

/** invStd * (g - mean(g) - xHat * mean(g * xHat)) with g = dY * gamma; RMSNorm does not centre. */
function normGradX(dY: Value, gamma: Value, xHat: Value, invStd: Value, centred: boolean, e: Emitter): Value {
  const mean = (value: Value): Value => e.emit("ReduceMean", [value, e.ints([-1])], { keepdims: 1 });
  const g = e.emit("Mul", [dY, gamma]);
  const along = e.emit("Mul", [xHat, mean(e.emit("Mul", [g, xHat]))]);
  const rest = e.emit("Sub", [centred ? e.emit("Sub", [g, mean(g)]) : g, along]);
  return e.emit("Mul", [rest, invStd]);
}

function sumRows(x: Value, like: Node | undefined, e: Emitter): Value {
  const axes = (like?.shape ?? []).slice(0, -1).map((_, axis) => axis);
  return axes.length === 0 ? x : e.emit("ReduceSum", [x, e.ints(axes)], { keepdims: 0 });
}

function logSoftmaxRows(logits: Value, e: Emitter): Value {
  return of(e.once(`log softmax ${logits}`, () => [e.emit("LogSoftmax", [logits], { axis: -1 })])[0]);
}

function scatteredRow(shape: Shape, values: Value | undefined, ids: Value | undefined, e: Emitter): Value {
  return e.emit("ScatterElements", [lowerFill(shape, 0, e), of(ids), of(values)], { axis: 1, reduction: "add" });
}

/**
 * Whether a bag uses so few of the table's rows that gathering them costs less than a product with all. Measured in
 * training with bags of 32 rows of 512, and chosen with their memory in mind: 0.9 of the time at 1024 rows, 0.63 at
 * 8192.
 */
function isFewOfMany({ inputs: [table, ids] }: Pick<Node, "inputs">): boolean {
  return (table?.shape[0] ?? 0) >= 64 * (ids?.shape[1] ?? 0);
}

/** [N, K, D] */
function bagRows(table: Value | undefined, ids: Value | undefined, e: Emitter): Value {
  return of(e.once(`rows of bags ${table} ${ids}`, () => [e.emit("Gather", [of(table), of(ids)], { axis: 0 })])[0]);
}

/** A row of x [N, ...] times its own bag. */
function timesBags(x: Value | undefined, bags: Value, transB: boolean, e: Emitter): Value {
  const rows = e.emit("Unsqueeze", [of(x), e.ints([1])]);
  return e.emit("Squeeze", [e.emit("ms.FusedMatMul", [rows, bags], { transB: Number(transB) }), e.ints([1])]);
}

/** [N, V]: a bag's weights at its ids; forward and backward share it. */
function bagMatrix(
  { inputs: [table, bags] }: NodeOf<"embeddingBag"> | NodeOf<"embeddingBagGradTable">,
  ids: Value | undefined,
  weights: Value | undefined,
  e: Emitter,
): Value {
  const shape = [bags?.shape[0] ?? 0, table?.shape[0] ?? 0];
  return of(e.once(`bags ${ids} ${weights} ${shape.join()}`, () => [scatteredRow(shape, weights, ids, e)])[0]);
}

function isZeros(node: Node | undefined): boolean {
  return node?.op === "fill" && node.attrs.value === 0;
}

function column(ids: Value | undefined, e: Emitter): Value {
  return e.emit("Unsqueeze", [of(ids), e.ints([1])]);
}

function lowerRotary(node: NodeOf<"rotary">, [x, positions]: readonly Value[], e: Emitter): Value {
  const { rotaryDims, maxPositions, inverse } = node.attrs;
  const [B = 0, T = 0, H = 0, D = 0] = node.shape;
  // ONNX Runtime refuses a table shorter than the sequence, whatever the positions.
  const rows = Math.max(maxPositions, T);
  const [cosine, sine] = e.once(`${rotaryTableName(node.attrs)} ${inverse} ${rows}`, () => {
    const frequencies = rotaryFrequencies(node.attrs);
    const half = frequencies.length;
    const table = (f: (angle: number) => number): Float32Array =>
      Float32Array.from({ length: rows * half }, (_, at) => f(Math.floor(at / half) * (frequencies[at % half] ?? 0)));
    const turn = inverse ? -1 : 1;
    return [
      e.initializer("f32", [rows, half], table(Math.cos)),
      e.initializer(
        "f32",
        [rows, half],
        table((angle) => turn * Math.sin(angle)),
      ),
    ];
  });
  const flat = e.emit("Reshape", [of(x), e.ints([B, T, H * D])]);
  const ids = e.emit("Cast", [of(positions)], { to: int64 });
  const rotated = e.emit("RotaryEmbedding", [flat, of(cosine), of(sine), ids], {
    num_heads: H,
    rotary_embedding_dim: rotaryDims,
  });
  return e.emit("Reshape", [rotated, e.ints(node.shape)]);
}

/** 2 Phi(x) = 1 + erf(x / √2), of the standard normal distribution function; forward and backward share it. */
function twiceNormalCdf(x: Value, e: Emitter): Value {
  const [cdf] = e.once(`twice normal cdf ${x}`, () => {
    const erf = e.emit("Erf", [e.emit("Div", [x, e.float(Math.SQRT2)])]);
    return [e.emit("Add", [erf, e.float(1)])];
  });
  return of(cdf);
}

/** With u = sqrt(2/pi) (x + 0.044715 x^3) and t = tanh u: (1 + t)/2 + x (1 - t^2)/2 * sqrt(2/pi) (1 + 0.134145 x^2). */
function lowerGeluTanhGrad(_: NodeOf<"geluTanhGrad">, [x, dY]: readonly Value[], e: Emitter): Value {
  const root = Math.sqrt(2 / Math.PI);
  const squared = e.emit("Mul", [of(x), of(x)]);
  const cubicFactor = e.emit("Add", [e.emit("Mul", [squared, e.float(0.044715 * root)]), e.float(root)]);
  const t = e.emit("Tanh", [e.emit("Mul", [of(x), cubicFactor])]);
  const left = e.emit("Add", [e.emit("Mul", [t, e.float(0.5)]), e.float(0.5)]);
  const inner = e.emit("Add", [e.emit("Mul", [squared, e.float(3 * 0.044715 * root)]), e.float(root)]);
  const sech = e.emit("Sub", [e.float(0.5), e.emit("Mul", [e.emit("Mul", [t, t]), e.float(0.5)])]);
  const right = e.emit("Mul", [e.emit("Mul", [of(x), sech]), inner]);
  return e.emit("Mul", [of(dY), e.emit("Add", [left, right])]);
}

function reduce(op: string, x: Value, { axes, keepDims }: Reduction, e: Emitter): Value {
  return e.emit(op, [x, e.ints(axes)], { keepdims: Number(keepDims) });
}

function topK(x: Value, k: number, e: Emitter): readonly Value[] {
  return e.once(`top ${k} ${x}`, () => e.emitMany("TopK", [x, e.ints([k])], 2, { axis: -1, largest: 1, sorted: 1 }));
}

function of(value: Value | undefined): Value {
  if (value === undefined) throw new TypeError("a lowering rule read an operand that its shape rule does not have");
  return value;
}
