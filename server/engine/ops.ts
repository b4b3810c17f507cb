/** Builders of nodes. Each checks shapes at once, so that the stack trace of an error points to the mistake. */
import type { AttentionMask, DType, Node, NodeOf, OpAttrs, OpKind, Reduction, Shape } from "./graph.ts";
import { sameShape } from "./graph.ts";
import { type ShapeRule, shapeRules } from "./shapes.ts";

/** Creates a node of any kind; throws `ShapeMismatchError` naming the operands. */
export function make<K extends OpKind>(op: K, inputs: readonly Node[], attrs: OpAttrs[K]): Node {
  const rule: ShapeRule<K> = shapeRules[op];
  const { shape, dtype } = rule(inputs, attrs);
  const node: NodeOf<K> = { op, attrs, inputs, shape, dtype };
  // A NodeOf<K> for a known K is a member of the union; the compiler cannot see that through the type parameter.
  return node as unknown as Node;
}

export const input = (name: string, shape: Shape, dtype: DType = "f32"): Node =>
  make("input", [], { name, shape, dtype });
export const state = (name: string, shape: Shape, dtype: DType = "f32"): Node =>
  make("state", [], { name, shape, dtype });
export const constant = (shape: Shape, values: Float32Array | Int32Array): Node =>
  make("constant", [], { shape, values });
export const fill = (shape: Shape, value: number): Node => make("fill", [], { shape, value });

export interface MatmulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** alpha * op(a) @ op(b). */
export function matmul(a: Node, b: Node, { transA = false, transB = false, alpha = 1 }: MatmulOptions = {}): Node {
  return make("matmul", [a, b], { transA, transB, alpha });
}

export const embedding = (table: Node, ids: Node): Node => make("embedding", [table, ids], {});
export const scatterAddRows = (base: Node, ids: Node, rows: Node): Node =>
  make("scatterAddRows", [base, ids, rows], {});
export const embeddingBag = (table: Node, ids: Node, weights: Node): Node =>
  make("embeddingBag", [table, ids, weights], {});
export const layerNorm = (x: Node, gamma: Node, beta: Node, eps: number): Node =>
  make("layerNorm", [x, gamma, beta], { eps });
export const rmsNorm = (x: Node, gamma: Node, eps: number): Node => make("rmsNorm", [x, gamma], { eps });
export const softmax = (x: Node, mask: AttentionMask = "none", window = 0): Node =>
  make("softmax", [x], { mask, window });
export const logSoftmax = (x: Node): Node => make("logSoftmax", [x], {});
export const gatherLogProbs = (logits: Node, ids: Node): Node => make("gatherLogProbs", [logits, ids], {});
export const rotary = (x: Node, positions: Node, options: Omit<OpAttrs["rotary"], "inverse">): Node =>
  make("rotary", [x, positions], { ...options, inverse: false });

type UnaryKind =
  | "gelu"
  | "geluTanh"
  | "relu"
  | "silu"
  | "sigmoid"
  | "softplus"
  | "tanh"
  | "exp"
  | "log"
  | "sqrt"
  | "square"
  | "reciprocal"
  | "negate"
  | "abs"
  | "stopGradient";
const unary =
  (op: UnaryKind) =>
  (x: Node): Node =>
    make(op, [x], {});
export const gelu = unary("gelu");
export const geluTanh = unary("geluTanh");
export const relu = unary("relu");
export const silu = unary("silu");
export const sigmoid = unary("sigmoid");
export const softplus = unary("softplus");
export const tanh = unary("tanh");
export const exp = unary("exp");
export const log = unary("log");
export const sqrt = unary("sqrt");
export const square = unary("square");
export const reciprocal = unary("reciprocal");
export const negate = unary("negate");
export const abs = unary("abs");
/**
 * x, which `gradients` treats as a constant. A straight-through step is add(soft, stopGradient(sub(hard, soft))):
 * hard's value, soft's gradient.
 */
export const stopGradient = unary("stopGradient");

type BinaryKind = "add" | "sub" | "mul" | "div" | "minimum" | "maximum" | "greater";
const binary =
  (op: BinaryKind) =>
  (a: Node, b: Node): Node =>
    make(op, [a, b], {});
export const add = binary("add");
export const sub = binary("sub");
export const mul = binary("mul");
export const div = binary("div");
export const minimum = binary("minimum");
export const maximum = binary("maximum");
export const greater = binary("greater");
export const where = (condition: Node, a: Node, b: Node): Node => make("where", [condition, a, b], {});

/** factor * x + offset, for constants. */
export const affine = (x: Node, factor: number, offset = 0): Node => make("affine", [x], { mul: factor, add: offset });
export const clip = (x: Node, low: number, high: number): Node => make("clip", [x], { low, high });

export interface ReduceOptions {
  /** Axes to reduce; all of them by default. Negative ones count from the end. */
  readonly axes?: readonly number[];
  readonly keepDims?: boolean;
}

export const sum = (x: Node, options?: ReduceOptions): Node => reduced("sum", x, options);
export const mean = (x: Node, options?: ReduceOptions): Node => reduced("mean", x, options);
export const max = (x: Node, options?: ReduceOptions): Node => reduced("max", x, options);

/** The same values under another shape; one extent may be -1. */
export function reshape(x: Node, shape: Shape): Node {
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const total = x.shape.reduce((product, extent) => product * extent, 1);
  const resolved = shape.map((extent) => (extent === -1 ? total / known : extent));
  return sameShape(resolved, x.shape) ? x : make("reshape", [x], { shape: resolved });
}

export const transpose = (x: Node, perm: readonly number[]): Node => make("transpose", [x], { perm });
export const slice = (x: Node, axis: number, start: number, end: number): Node =>
  make("slice", [x], { axis, start, end });
export const pad = (x: Node, axis: number, before: number, after: number): Node =>
  make("pad", [x], { axis, before, after });
export const concat = (xs: readonly Node[], axis: number): Node => make("concat", xs, { axis });
export const broadcastTo = (x: Node, shape: Shape): Node =>
  sameShape(x.shape, shape) ? x : make("broadcastTo", [x], { shape });
export const keepTopK = (x: Node, k: number): Node => make("keepTopK", [x], { k });
export const topKValues = (x: Node, k: number): Node => make("topKValues", [x], { k });
export const topKIndices = (x: Node, k: number): Node => make("topKIndices", [x], { k });
export const gatherRow = (x: Node, ids: Node): Node => make("gatherRow", [x, ids], {});
export const scatterRow = (values: Node, ids: Node, width: number): Node =>
  make("scatterRow", [values, ids], { width });
export const sampleRows = (
  probs: Node,
  uniforms: Node,
  settings: Node,
  options: Partial<OpAttrs["sampleRows"]> = {},
): Node => make("sampleRows", [probs, uniforms, settings], { bannable: [], limit: probs.shape[1] ?? 0, ...options });

/** x [..., In] @ weight [Out, In] transposed + bias [Out]: a PyTorch Linear. */
export function linear(x: Node, weight: Node, bias?: Node): Node {
  const product = matmul(x, weight, { transB: true });
  return bias === undefined ? product : add(product, bias);
}

/** Mean of -log softmax(logits)[n, ids[n]], weighted by weights [N] and divided by their sum. */
export function crossEntropy(logits: Node, ids: Node, weights: Node): Node {
  return div(negate(sum(mul(gatherLogProbs(logits, ids), weights))), sum(weights));
}

/** Builds a reduction; a scalar is returned as it is. */
function reduced(op: "sum" | "mean" | "max", x: Node, options?: ReduceOptions): Node {
  return x.shape.length === 0 ? x : make(op, [x], reduction(x, options));
}

function reduction(
  x: Node,
  { axes = x.shape.map((_, axis) => axis), keepDims = false }: ReduceOptions = {},
): Reduction {
  const positive = axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
  return { axes: positive.toSorted((a, b) => a - b), keepDims };
}
