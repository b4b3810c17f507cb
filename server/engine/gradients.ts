import { NoGradientError } from "./errors.ts";
import { type Node, type NodeOf, type OpKind, type Shape, sameShape, sizeOf, topologicalOrder } from "./graph.ts";
import * as ops from "./ops.ts";

/** A sparse gradient (rows of a table): added onto the gradient so far, or onto zeros if there is none yet. */
export type Accumulation = (base: Node | undefined) => Node;
export type InputGradient = Node | Accumulation | undefined;

/** Gradients for the inputs of a node, given the gradient for its output; undefined for inputs that have none. */
export type GradRule<K extends OpKind> = (
  node: NodeOf<K>,
  dY: Node,
  inputs: readonly Node[],
) => readonly InputGradient[];

/**
 * Reverse-mode gradients of a scalar with respect to nodes, as nodes of the same graph. A state or an input stands for
 * all nodes of its name, since each use may create its own; another node stands for itself. A node that the scalar does
 * not depend on gets zeros. Throws `NoGradientError` when the path crosses an operator without a gradient.
 */
export function gradients(loss: Node, wrt: readonly Node[]): Node[] {
  if (sizeOf(loss.shape) !== 1)
    throw new TypeError(`gradients of [${loss.shape.join(", ")}]: the loss must be one number`);
  const order = topologicalOrder([loss]);
  const meant = wrt.map((node) => sameValue(order, node));
  const needed = nodesThatReach(order, new Set(meant.flat()));
  const pending = new Map<Node, InputGradient[]>([[loss, [ops.fill(loss.shape, 1)]]]);
  const total = new Map<Node, Node>();
  for (const node of order.toReversed()) {
    const dY = combine(pending.get(node) ?? []);
    if (dY === undefined || !needed.has(node)) continue;
    total.set(node, dY);
    if (node.inputs.some((input) => needed.has(input))) propagate(node, dY, needed, pending);
  }
  return wrt.map((node, at) => {
    const parts = (meant[at] ?? []).flatMap((one) => total.get(one) ?? []);
    return (
      parts.reduce<Node | undefined>((sum, part) => (sum ? ops.add(sum, part) : part), undefined) ??
      ops.fill(node.shape, 0)
    );
  });
}

/** All nodes of a graph with the same value as this one. Throws `TypeError` if one of its name has another shape. */
function sameValue(order: readonly Node[], node: Node): readonly Node[] {
  if (node.op !== "state" && node.op !== "input") return [node];
  const found = order.filter((other) => other.op === node.op && other.attrs.name === node.attrs.name);
  const strange = found.find(({ shape }) => !sameShape(shape, node.shape));
  if (strange !== undefined)
    throw new TypeError(
      `gradients for ${node.op} '${node.attrs.name}' [${node.shape.join(", ")}]: in the graph it is [${strange.shape.join(", ")}]`,
    );
  return found;
}

/** One rule for every operator. */
const gradRules: { readonly [K in OpKind]: GradRule<K> } = {
  input: () => [],
  state: () => [],
  constant: () => [],
  fill: () => [],
  matmul: ({ attrs }, dY, [a, b]) => matmulGrad(need(a), need(b), dY, attrs),
  embedding: (_, dY, [table, ids]) => [
    (base) => ops.scatterAddRows(base ?? ops.fill(need(table).shape, 0), need(ids), dY),
    undefined,
  ],
  scatterAddRows: (_, dY, [, ids]) => [dY, undefined, ops.embedding(dY, need(ids))],
  embeddingBag: (_, dY, [table, ids, weights]) => [
    (base) =>
      ops.make("embeddingBagGradTable", [base ?? ops.fill(need(table).shape, 0), need(ids), need(weights), dY], {}),
    undefined,
    ops.make("embeddingBagGradWeights", [need(table), need(ids), dY], {}),
  ],
  embeddingBagGradWeights: none,
  embeddingBagGradTable: none,
  layerNorm: ({ attrs }, dY, [x, gamma]) => [
    ops.make("layerNormGradX", [need(x), need(gamma), dY], attrs),
    ops.make("layerNormGradGamma", [need(x), dY], attrs),
    sumLeading(dY),
  ],
  layerNormGradX: none,
  layerNormGradGamma: none,
  rmsNorm: ({ attrs }, dY, [x, gamma]) => [
    ops.make("rmsNormGradX", [need(x), need(gamma), dY], attrs),
    ops.make("rmsNormGradGamma", [need(x), dY], attrs),
  ],
  rmsNormGradX: none,
  rmsNormGradGamma: none,
  softmax: (node, dY) => [ops.make("softmaxGrad", [asNode(node), dY], {})],
  softmaxGrad: none,
  logSoftmax: (node, dY) => [ops.make("logSoftmaxGrad", [asNode(node), dY], {})],
  logSoftmaxGrad: none,
  gatherLogProbs: (_, dY, [logits, ids]) => [
    ops.make("gatherLogProbsGrad", [need(logits), need(ids), dY], {}),
    undefined,
  ],
  gatherLogProbsGrad: none,
  rotary: ({ attrs }, dY, [, positions]) => [
    ops.make("rotary", [dY, need(positions)], { ...attrs, inverse: !attrs.inverse }),
    undefined,
  ],
  gelu: (_, dY, [x]) => [ops.make("geluGrad", [need(x), dY], {})],
  geluGrad: none,
  geluTanh: (_, dY, [x]) => [ops.make("geluTanhGrad", [need(x), dY], {})],
  geluTanhGrad: none,
  relu: (node, dY) => [ops.mul(dY, ops.greater(asNode(node), ops.fill([], 0)))],
  // d(x s) = s + x s (1 - s), with s = sigmoid(x)
  silu: (_, dY, [x]) => {
    const s = ops.sigmoid(need(x));
    return [ops.mul(dY, ops.mul(s, ops.affine(ops.mul(need(x), ops.affine(s, -1, 1)), 1, 1)))];
  },
  sigmoid: (node, dY) => [ops.mul(dY, ops.mul(asNode(node), ops.affine(asNode(node), -1, 1)))],
  softplus: (_, dY, [x]) => [ops.mul(dY, ops.sigmoid(need(x)))],
  tanh: (node, dY) => [ops.mul(dY, ops.affine(ops.square(asNode(node)), -1, 1))],
  exp: (node, dY) => [ops.mul(dY, asNode(node))],
  log: (_, dY, [x]) => [ops.div(dY, need(x))],
  sqrt: (node, dY) => [ops.div(ops.affine(dY, 0.5), asNode(node))],
  square: (_, dY, [x]) => [ops.mul(ops.affine(dY, 2), need(x))],
  reciprocal: (node, dY) => [ops.negate(ops.mul(dY, ops.square(asNode(node))))],
  negate: (_, dY) => [ops.negate(dY)],
  abs: (_, dY, [x]) => [ops.mul(dY, signOf(need(x)))],
  stopGradient: () => [undefined],
  add: (_, dY, [a, b]) => [sumTo(dY, need(a).shape), sumTo(dY, need(b).shape)],
  sub: (_, dY, [a, b]) => [sumTo(dY, need(a).shape), sumTo(ops.negate(dY), need(b).shape)],
  mul: (_, dY, [a, b]) => [sumTo(ops.mul(dY, need(b)), need(a).shape), sumTo(ops.mul(dY, need(a)), need(b).shape)],
  div: (node, dY, [a, b]) => {
    const dA = ops.div(dY, need(b));
    return [sumTo(dA, need(a).shape), sumTo(ops.negate(ops.mul(dA, asNode(node))), need(b).shape)];
  },
  // On ties the whole gradient goes to the second operand.
  minimum: (_, dY, [a, b]) => chosen(dY, need(a), need(b), ops.greater(need(b), need(a))),
  maximum: (_, dY, [a, b]) => chosen(dY, need(a), need(b), ops.greater(need(a), need(b))),
  greater: none,
  where: (_, dY, [condition, a, b]) => {
    const zero = ops.fill([], 0);
    return [
      undefined,
      sumTo(ops.where(need(condition), dY, zero), need(a).shape),
      sumTo(ops.where(need(condition), zero, dY), need(b).shape),
    ];
  },
  affine: ({ attrs }, dY) => [ops.affine(dY, attrs.mul)],
  // At a bound the slope is 1, as in PyTorch.
  clip: ({ attrs: { low, high } }, dY, [x]) => {
    const outside = ops.add(ops.greater(ops.fill([], low), need(x)), ops.greater(need(x), ops.fill([], high)));
    return [ops.mul(dY, ops.affine(outside, -1, 1))];
  },
  sum: ({ attrs }, dY, [x]) => [spread(dY, need(x).shape, attrs.axes)],
  mean: ({ attrs, shape }, dY, [x]) => [
    ops.affine(spread(dY, need(x).shape, attrs.axes), sizeOf(shape) / sizeOf(need(x).shape)),
  ],
  max: (node, dY, [x]) => {
    const { axes } = node.attrs;
    const below = ops.greater(spread(asNode(node), need(x).shape, axes), need(x));
    return [ops.mul(spread(dY, need(x).shape, axes), ops.affine(below, -1, 1))];
  },
  reshape: (_, dY, [x]) => [ops.reshape(dY, need(x).shape)],
  transpose: ({ attrs }, dY) => [
    ops.transpose(
      dY,
      attrs.perm.map((_, axis) => attrs.perm.indexOf(axis)),
    ),
  ],
  slice: ({ attrs: { axis, start, end } }, dY, [x]) => [ops.pad(dY, axis, start, (need(x).shape[axis] ?? 0) - end)],
  pad: ({ attrs: { axis, before } }, dY, [x]) => [ops.slice(dY, axis, before, before + (need(x).shape[axis] ?? 0))],
  concat: ({ attrs: { axis } }, dY, inputs) => {
    let start = 0;
    return inputs.map((part) => {
      const from = start;
      start += part.shape[axis] ?? 0;
      return ops.slice(dY, axis, from, start);
    });
  },
  broadcastTo: (_, dY, [x]) => [sumTo(dY, need(x).shape)],
  keepTopK: (node, dY) => [ops.mul(dY, ops.greater(ops.abs(asNode(node)), ops.fill([], 0)))],
  topKValues: ({ attrs }, dY, [x]) => {
    const width = need(x).shape.at(-1) ?? 0;
    const ids = ops.reshape(ops.topKIndices(need(x), attrs.k), [-1, attrs.k]);
    return [ops.reshape(ops.scatterRow(ops.reshape(dY, [-1, attrs.k]), ids, width), need(x).shape)];
  },
  topKIndices: none,
  gatherRow: (_, dY, [x, ids]) => [ops.scatterRow(dY, need(ids), need(x).shape[1] ?? 0), undefined],
  scatterRow: (_, dY, [, ids]) => [ops.gatherRow(dY, need(ids)), undefined],
  sampleRows: none,
};

function propagate(node: Node, dY: Node, needed: ReadonlySet<Node>, pending: Map<Node, InputGradient[]>): void {
  const given = ruleOf(node)(dY);
  for (const [position, input] of node.inputs.entries()) {
    if (!needed.has(input)) continue;
    const gradient = given[position];
    if (gradient === undefined) continue;
    const list = pending.get(input);
    if (list === undefined) pending.set(input, [gradient]);
    else list.push(gradient);
  }
}

function ruleOf<K extends OpKind>(node: NodeOf<K>): (dY: Node) => readonly InputGradient[] {
  const rule: GradRule<K> = gradRules[node.op];
  return (dY) => rule(node, dY, node.inputs);
}

/** Sums plain gradients first, then applies accumulations to the sum, so that sparse ones need no dense copy. */
function combine(parts: readonly InputGradient[]): Node | undefined {
  let total: Node | undefined;
  for (const part of parts)
    if (part !== undefined && typeof part !== "function") total = total === undefined ? part : ops.add(total, part);
  for (const part of parts) if (typeof part === "function") total = part(total);
  return total;
}

function nodesThatReach(order: readonly Node[], targets: ReadonlySet<Node>): Set<Node> {
  const needed = new Set<Node>(targets);
  for (const node of order) if (node.inputs.some((input) => needed.has(input))) needed.add(node);
  return needed;
}

/** With C = alpha op(A) op(B): dA = alpha dC op(B)^T and dB = alpha op(A)^T dC, each transposed back where its operand was. */
function matmulGrad(a: Node, b: Node, dY: Node, { transA, transB, alpha }: NodeOf<"matmul">["attrs"]): Node[] {
  const dA = transA
    ? ops.matmul(b, dY, { transA: transB, transB: true, alpha })
    : ops.matmul(dY, b, { transB: !transB, alpha });
  const shared = b.shape.length === 2 && a.shape.length > 2;
  const left = shared ? flattenRows(a) : a;
  const right = shared ? flattenRows(dY) : dY;
  const dB = transB
    ? ops.matmul(right, left, { transA: true, transB: transA, alpha })
    : ops.matmul(left, right, { transA: !transA, alpha });
  return [dA, dB];
}

function flattenRows(x: Node): Node {
  return ops.reshape(x, [-1, x.shape.at(-1) ?? 0]);
}

function sumLeading(x: Node): Node {
  return x.shape.length === 1 ? x : ops.sum(x, { axes: x.shape.slice(0, -1).map((_, axis) => axis) });
}

/** Sums away what broadcasting added, back to `shape`. */
function sumTo(x: Node, shape: Shape): Node {
  const added = x.shape.length - shape.length;
  const axes = x.shape.flatMap((extent, axis) =>
    axis < added || ((shape[axis - added] ?? 0) === 1 && extent !== 1) ? [axis] : [],
  );
  return axes.length === 0 ? x : ops.reshape(ops.sum(x, { axes, keepDims: true }), shape);
}

/** Undoes a reduction: the reduced axes come back and their value is repeated. */
function spread(x: Node, shape: Shape, axes: readonly number[]): Node {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  return ops.broadcastTo(ops.reshape(x, kept), shape);
}

/** -1, 0 or 1 */
function signOf(x: Node): Node {
  const zero = ops.fill([], 0);
  return ops.sub(ops.greater(x, zero), ops.greater(zero, x));
}

function chosen(dY: Node, a: Node, b: Node, first: Node): Node[] {
  const zero = ops.fill([], 0);
  return [sumTo(ops.where(first, dY, zero), a.shape), sumTo(ops.where(first, zero, dY), b.shape)];
}

function none<K extends OpKind>(node: NodeOf<K>): never {
  throw new NoGradientError(node.op);
}

function need(node: Node | undefined): Node {
  if (node === undefined) throw new TypeError("a gradient rule read an operand that its shape rule does not have");
  return node;
}

function asNode<K extends OpKind>(node: NodeOf<K>): Node {
  // As in `make`: a member of the union, which the compiler cannot see through the type parameter.
  return node as unknown as Node;
}
