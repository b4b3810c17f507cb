/** Operators on tables that are held as F16 or BF16 and are too large to be widened whole. */
import { type NodeOf, type OpKind, sizeOf } from "../graph.ts";
import { type Emitter, float32, type NarrowLeaf, type Value } from "./emitter.ts";
import { flattened, scaledAfter } from "./products.ts";

/** Lowers a node that reads a narrow table without a wide copy of it; undefined for every other node. */
export function lowerOnNarrow<K extends OpKind>(node: NodeOf<K>, e: Emitter): Value | undefined {
  const rule: NarrowRule<K> | undefined = narrowRules[node.op];
  return rule?.(node, e);
}

type NarrowRule<K extends OpKind> = (node: NodeOf<K>, e: Emitter) => Value | undefined;

const narrowRules: { readonly [K in OpKind]?: NarrowRule<K> } = {
  embedding: ({ inputs: [table, ids] }, e) => {
    const leaf = e.narrowOf(table);
    if (leaf === undefined) return undefined;
    const rows = e.emit("Gather", [leaf.rows(0, table?.shape[0] ?? 0), e.valueOf(ids)], { axis: 0 });
    return e.emit("Cast", [rows], { to: float32 });
  },
  matmul: (node, e) => {
    const [left, right] = node.inputs;
    const leaf = e.narrowOf(right);
    const isBlocked = right?.shape.length === 2 && sizeOf(right.shape) > mostWidened && !node.attrs.transA;
    if (leaf === undefined || right === undefined || left === undefined || !isBlocked) return undefined;
    const a = left.shape.length === 2 ? e.valueOf(left) : flattened(left, e.valueOf(left), e);
    const blocks = blocksOf(leaf, right.shape, e);
    const productOf = node.attrs.transB ? joinedProducts : summedProducts;
    const product = scaledAfter(node, a, e, (rows) => productOf(rows, blocks, node, e));
    const [N = 0] = node.shape.slice(-1);
    return left.shape.length === 2 ? product : e.reshaped(product, [sizeOf(node.shape) / N, N], node.shape);
  },
};

/** Values that are widened at once: 128 MiB of F32, the largest matrix of a layer of Gemma-2B. */
const mostWidened = 2 ** 25;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly value: Value;
}

/** The table's rows in blocks of nearly equal size. */
function blocksOf(leaf: NarrowLeaf, [rows = 0, width = 0]: readonly number[], e: Emitter): Block[] {
  const count = Math.ceil((rows * width) / mostWidened);
  return Array.from({ length: count }, (_, at) => {
    const [start, end] = [Math.floor((at * rows) / count), Math.floor(((at + 1) * rows) / count)];
    return { start, end, value: e.widened(leaf.rows(start, end)) };
  });
}

/** a [R, K] times the transposed rows of each block, side by side. */
function joinedProducts(a: Value, blocks: readonly Block[], { attrs }: NodeOf<"matmul">, e: Emitter): Value {
  const attributes = { transB: 1, alpha: { float: attrs.alpha } };
  const parts = blocks.map(({ value }) => e.emit("Gemm", [a, value], attributes));
  return e.emit("Concat", parts, { axis: 1 });
}

/** a [R, K] times the table [K, N]: the sum over blocks of the columns of a times their rows. */
function summedProducts(a: Value, blocks: readonly Block[], { attrs }: NodeOf<"matmul">, e: Emitter): Value {
  let sum: Value | undefined;
  for (const { start, end, value } of blocks) {
    const columns = e.emit("Slice", [a, e.ints([start]), e.ints([end]), e.ints([1])]);
    const inputs = sum === undefined ? [columns, value] : [columns, value, sum];
    sum = e.emit("Gemm", inputs, { alpha: { float: attrs.alpha } });
  }
  return sum ?? a;
}
