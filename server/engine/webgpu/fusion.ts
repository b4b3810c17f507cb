/** Kernel fusion: decides which nodes are inlined into their readers' kernels, and which are materialised. */
import { type Node, sizeOf } from "../graph.ts";
import { ruleOf } from "./lowering.ts";
import { findRowLogits, type RowLogits } from "./row-logits.ts";
import { type BindingLimits, bytesOf, unlimited, windowCount } from "./values.ts";

export interface Fusion {
  /** Whether each reader computes it inline, so that it is never in memory. */
  isInlined(node: Node | undefined): boolean;
  /**
   * Whether the result is materialised. Other non-leaf nodes are inlined, or are matmuls fused into their only
   * consumer.
   */
  isStored(node: Node): boolean;
  /** Whether it is a matmul that its only consumer may fuse with as its epilogue. */
  isAbsorbable(node: Node): boolean;
  /** The group of row logits that a node belongs to and is computed with. */
  rowLogitsOf(node: Node): RowLogits | undefined;
  /** Whether a view of state must be copied, because it must keep its values while updates write the state. */
  needsCopy(node: Node): boolean;
}

/**
 * Maximum buffers that one element's code reads: with a product's two operands and the result, all adapters bind that
 * many.
 */
const mostLeaves = 5;
/** Maximum operators in one kernel; beyond it kernels only take longer to compile. */
const mostOperators = 48;

interface Cost {
  readonly leaves: ReadonlySet<Node>;
  readonly operators: number;
}

/** Decisions so far. */
interface Decided {
  readonly limits: BindingLimits;
  readonly inlined: Map<Node, Cost>;
  readonly absorbable: Set<Node>;
}

/** Decides for all nodes of a graph; `order` must be topological. */
export function decideFusion(
  order: readonly Node[],
  roots: ReadonlySet<Node>,
  limits: BindingLimits = unlimited,
): Fusion {
  const consumers = consumersOf(order);
  const uses = usesOf(order, consumers, roots);
  const [inlined, absorbable] = [new Map<Node, Cost>(), new Set<Node>()];
  const decided: Decided = { limits, inlined, absorbable };
  const rowLogits = findRowLogits(order, consumers, roots);
  for (const node of order) {
    const rule = ruleOf(node);
    const readers = consumers.get(node) ?? [];
    if (rule.kind === "element") {
      const cost = costOf(node, decided);
      if (!roots.has(node) && mayInline(node, rule.moves, readers, uses)) inlined.set(node, cost);
    } else if (rule.kind === "kernel" && rule.fuses) costOf(node, decided);
    else if (node.op === "matmul" && !roots.has(node) && uses.get(node) === 1 && sameSizeReader(node, readers))
      if (!rowLogits.has(node)) absorbable.add(node);
  }
  const passing = new Set<Node | undefined>(
    [...rowLogits.values()].flatMap(({ logits, gradient }) => [logits, gradient]),
  );
  return {
    isInlined: (node) => node !== undefined && inlined.has(node),
    isStored: (node) =>
      ruleOf(node).kind !== "leaf" && !inlined.has(node) && !absorbable.has(node) && !passing.has(node),
    isAbsorbable: (node) => absorbable.has(node),
    rowLogitsOf: (node) => rowLogits.get(node),
    needsCopy: (node) => roots.has(node) && sourceOf(node).op === "state",
  };
}

function mayInline(node: Node, moves: boolean, readers: readonly Node[], uses: ReadonlyMap<Node, number>): boolean {
  if (!readers.every((reader) => readsElements(reader, node))) return false;
  if (moves) return true;
  return (
    uses.get(node) === 1 && readers.every((reader) => !isElement(reader) || sizeOf(reader.shape) <= sizeOf(node.shape))
  );
}

/** Whether a reader can compute this operand inline. */
function readsElements(reader: Node, operand: Node): boolean {
  if (reader.op === "concat") return true;
  if (reader.op === "scatterAddRows" || reader.op === "embeddingBagGradTable")
    return reader.inputs[0] === operand && !reader.inputs.slice(1).includes(operand);
  const rule = ruleOf(reader);
  return rule.kind === "element" || (rule.kind === "kernel" && rule.fuses);
}

function isElement(node: Node): boolean {
  return ruleOf(node).kind === "element";
}

function sameSizeReader(node: Node, readers: readonly Node[]): boolean {
  return readers.every((reader) => isElement(reader) && sizeOf(reader.shape) === sizeOf(node.shape));
}

/**
 * A node's cost: the leaves that its code reads and its number of operators. If that exceeds the limits, it removes
 * operands from `inlined`, so that they are materialised, and then products from `absorbable`.
 */
function costOf(node: Node, decided: Decided): Cost {
  const { inlined, absorbable, limits } = decided;
  for (;;) {
    const leaves = new Set<Node>(node.op === "rotary" ? [node] : []);
    let operators = 1;
    for (const input of node.inputs) {
      const cost = inlined.get(input);
      if (cost === undefined) leaves.add(input);
      else for (const leaf of cost.leaves) leaves.add(leaf);
      operators += cost?.operators ?? 0;
    }
    const bound = bindingsOf(node, leaves, decided);
    if (leaves.size <= mostLeaves && operators <= mostOperators && bound <= limits.count) return { leaves, operators };
    const largest = node.inputs
      .filter((input) => inlined.has(input))
      .sort((a, b) => weigh(b, inlined) - weigh(a, inlined))[0];
    const product = [...leaves].find((leaf) => absorbable.has(leaf));
    if (largest !== undefined) inlined.delete(largest);
    else if (product !== undefined && bound > limits.count) absorbable.delete(product);
    else return { leaves, operators };
  }
}

/**
 * Bindings of a node's kernel: the result, its leaves, and, if a product fuses with it, the product's factors and
 * scales.
 */
function bindingsOf(node: Node, leaves: ReadonlySet<Node>, { limits, absorbable }: Decided): number {
  const windows = ({ shape }: Node): number => windowCount(bytesOf({ size: sizeOf(shape) }), limits);
  let product = 0;
  let sum = windows(node);
  for (const leaf of leaves) {
    sum += windows(leaf);
    if (!absorbable.has(leaf)) continue;
    const factors = leaf.inputs.reduce((all, factor) => all + windows(factor), 1);
    product = Math.max(product, factors - windows(leaf));
  }
  return sum + product;
}

function weigh(node: Node, inlined: ReadonlyMap<Node, Cost>): number {
  const cost = inlined.get(node);
  return cost === undefined ? 0 : cost.leaves.size * mostOperators + cost.operators;
}

function consumersOf(order: readonly Node[]): Map<Node, Node[]> {
  const consumers = new Map<Node, Node[]>();
  for (const node of order) {
    for (const input of new Set(node.inputs)) {
      const list = consumers.get(input);
      if (list === undefined) consumers.set(input, [node]);
      else list.push(node);
    }
  }
  return consumers;
}

/**
 * How often each node would be computed if all readers inlined it. Readers that only move elements count by their own
 * uses.
 */
function usesOf(
  order: readonly Node[],
  consumers: ReadonlyMap<Node, readonly Node[]>,
  roots: ReadonlySet<Node>,
): Map<Node, number> {
  const uses = new Map<Node, number>();
  for (const node of order.toReversed()) {
    let count = roots.has(node) ? 1 : 0;
    for (const reader of consumers.get(node) ?? []) {
      const rule = ruleOf(reader);
      const passesOn = rule.kind === "element" && rule.moves && !roots.has(reader);
      count += passesOn ? Math.max(1, uses.get(reader) ?? 1) : 1;
    }
    uses.set(node, count);
  }
  return uses;
}

function sourceOf(node: Node): Node {
  const input = node.inputs[0];
  return node.op === "reshape" && input !== undefined ? sourceOf(input) : node;
}
