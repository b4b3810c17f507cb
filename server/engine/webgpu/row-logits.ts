/**
 * Logits [N, V] of which only the log-probability of one id per row is needed, as in language-model losses. They are
 * the largest tensors of training, so they are computed, used and overwritten by their own gradient some rows at a
 * time. Letters: N rows, V vocabulary.
 */
import { gatherLogProbsInPlaceLaunch, gatherLogProbsLaunch } from "../../../kernels/rows.ts";
import { type Node, type NodeOf, topologicalOrder } from "../graph.ts";
import { matmulShapeOf, runProduct } from "./lower-matmul.ts";
import type { Lowering } from "./lowering-types.ts";
import { partAlignmentOf, partOf, type Value } from "./values.ts";

/**
 * Maximum elements of logits materialised at once: 128 MiB, which every adapter binds and at which products run at
 * full speed.
 */
export const mostLogits = 2 ** 25;

/** A product with no readers but these nodes, so that neither it nor its gradient must be materialised whole. */
export interface RowLogits {
  readonly logits: NodeOf<"matmul">;
  readonly ids: Node;
  readonly logProbs: NodeOf<"gatherLogProbs"> | undefined;
  readonly gradient: NodeOf<"gatherLogProbsGrad"> | undefined;
  /** The products that read the gradient. */
  readonly products: readonly GradientProduct[];
  /** All logits, if they fit in one chunk and wait for their gradient. */
  held: Value | undefined;
}

interface GradientProduct {
  readonly node: NodeOf<"matmul">;
  /** True: gradient^T @ other, summed over rows. False: gradient @ other, row by row. */
  readonly sums: boolean;
}

/** Maps every node of each group to its group. `consumers` lists every reader once. */
export function findRowLogits(
  order: readonly Node[],
  consumers: ReadonlyMap<Node, readonly Node[]>,
  roots: ReadonlySet<Node>,
): ReadonlyMap<Node, RowLogits> {
  const found = new Map<Node, RowLogits>();
  for (const node of order) {
    const group = node.op === "matmul" && !roots.has(node) ? groupOf(node, consumers, roots) : undefined;
    if (group === undefined) continue;
    const { logits, logProbs, gradient, products } = group;
    for (const own of [logits, logProbs, gradient, ...products.map((product) => product.node)])
      if (own !== undefined) found.set(own, group);
  }
  return found;
}

/** Lowers the node `asked` of a group, and with it the rest, unless the gradient depends on the log-probabilities. */
export function lowerRowLogits(group: RowLogits, asked: Node, lowering: Lowering): void {
  const { logProbs, gradient } = group;
  const waits = gradient === undefined || (logProbs !== undefined && reaches(gradient.inputs[2], logProbs));
  if (asked.op === "gatherLogProbs" && waits) lowerForward(group, asked, lowering);
  else if (gradient !== undefined) lowerBoth(group, gradient, waits, lowering);
}

function groupOf(
  logits: NodeOf<"matmul">,
  consumers: ReadonlyMap<Node, readonly Node[]>,
  roots: ReadonlySet<Node>,
): RowLogits | undefined {
  const readers = consumers.get(logits) ?? [];
  const logProbs = readers.filter((reader) => reader.op === "gatherLogProbs");
  const gradients = readers.filter((reader) => reader.op === "gatherLogProbsGrad");
  const [gradient] = gradients;
  const ids = (logProbs[0] ?? gradient)?.inputs[1];
  const plain = !logits.attrs.transA && logProbs.length <= 1 && gradients.length <= 1;
  if (!plain || ids === undefined || logProbs.length + gradients.length !== readers.length) return undefined;
  if (gradient !== undefined && (roots.has(gradient) || gradient.inputs[1] !== ids)) return undefined;
  const uses = gradient === undefined ? [] : (consumers.get(gradient) ?? []);
  const products = uses.map((use) => productOf(use, gradient)).filter((product) => product !== undefined);
  if (products.length < uses.length || products.some(({ node }) => reaches(node.inputs[1], logits))) return undefined;
  return { logits, ids, logProbs: logProbs[0], gradient, products, held: undefined };
}

function productOf(node: Node, gradient: Node | undefined): GradientProduct | undefined {
  const isProduct = node.op === "matmul" && node.inputs[0] === gradient && node.inputs[1] !== gradient;
  return isProduct && !(node.attrs.transA && node.attrs.transB) ? { node, sums: node.attrs.transA } : undefined;
}

function lowerForward(group: RowLogits, logProbs: Node, lowering: Lowering): void {
  const [rows, ids] = [lowering.read(group.logits.inputs[0]), lowering.read(group.ids)];
  const chunks = chunksOf(group.logits, lowering.mostLogits, partAlignmentOf(rows));
  const logits = scratchFor(group, chunks, lowering);
  if (chunks.length === 1) group.held = logits;
  for (const chunk of chunks) {
    runLogits(group, { rows, logits, chunk }, lowering);
    const launch = gatherLogProbsLaunch({ rows: chunk.rows, columns: columnsOf(group.logits) });
    lowering.run(launch, [logits, own(ids, chunk), own(lowering.result(logProbs), chunk)]);
  }
}

/** Lowers the gradient with its products. If it had to wait, logits that did not fit at once are recomputed. */
function lowerBoth(
  group: RowLogits,
  gradient: NodeOf<"gatherLogProbsGrad">,
  waited: boolean,
  lowering: Lowering,
): void {
  const [rows, ids] = [lowering.read(group.logits.inputs[0]), lowering.read(group.ids)];
  // This read also lowers the log-probabilities, if the gradient depends on them.
  const slopes = lowering.read(gradient.inputs[2]);
  const others = group.products.map(({ node }) => lowering.read(node.inputs[1]));
  const chunks = chunksOf(group.logits, lowering.mostLogits, Math.max(...[rows, ...others].map(partAlignmentOf)));
  const logits = group.held ?? scratchFor(group, chunks, lowering);
  const logProbs =
    waited || group.logProbs === undefined ? lowering.scratch(ids.size) : lowering.result(group.logProbs);
  for (const chunk of chunks) {
    if (group.held === undefined) runLogits(group, { rows, logits, chunk }, lowering);
    const launch = gatherLogProbsInPlaceLaunch({ rows: chunk.rows, columns: columnsOf(group.logits) });
    lowering.run(launch, [own(ids, chunk), own(slopes, chunk), logits, own(logProbs, chunk)]);
    for (const [at, { node, sums }] of group.products.entries()) {
      const [b, result] = [others[at], lowering.result(node)];
      if (b === undefined) continue;
      const shape = { ...matmulShapeOf(node), [sums ? "K" : "M"]: chunk.rows };
      const operands = sums ? { b: own(b, chunk), result } : { b, result: own(result, chunk) };
      runProduct(shape, { a: logits, ...operands, accumulate: sums && chunk.start > 0 }, lowering);
    }
  }
}

/** Some of N rows. */
interface Chunk {
  readonly N: number;
  readonly start: number;
  readonly rows: number;
}

/** Splits the rows into nearly equal chunks, each aligned as bindings require. */
function chunksOf({ shape: [N = 1, V = 1] }: Node, most: number, alignment: number): Chunk[] {
  if (N * V <= most) return [{ N, start: 0, rows: N }];
  const atOnce = Math.max(1, Math.floor(most / V / alignment)) * alignment;
  const even = Math.ceil(N / Math.ceil(N / atOnce) / alignment) * alignment;
  return Array.from({ length: Math.ceil(N / even) }, (_, at) => ({
    N,
    start: at * even,
    rows: Math.min(even, N - at * even),
  }));
}

function scratchFor({ logits }: RowLogits, [first]: readonly Chunk[], lowering: Lowering): Value {
  return lowering.scratch((first?.rows ?? 0) * columnsOf(logits));
}

function runLogits(
  { logits: node }: RowLogits,
  { rows, logits, chunk }: { readonly rows: Value; readonly logits: Value; readonly chunk: Chunk },
  lowering: Lowering,
): void {
  const operands = { a: own(rows, chunk), b: lowering.read(node.inputs[1]), result: logits };
  runProduct({ ...matmulShapeOf(node), M: chunk.rows }, operands, lowering);
}

/** The chunk's rows of a value that has one or more elements per row. */
function own(value: Value, { N, start, rows }: Chunk): Value {
  const each = value.size / N;
  return partOf(value, start * each, rows * each);
}

function columnsOf({ shape }: Node): number {
  return shape[1] ?? 1;
}

function reaches(from: Node | undefined, node: Node): boolean {
  return from !== undefined && topologicalOrder([from]).includes(node);
}
