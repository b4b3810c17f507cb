/** Operators that take several launches. */
import { addBagsLaunch, type BagShape, bagMarks, clearMarksLaunch, markBagsLaunch } from "../../../kernels/bags.ts";
import { elementwiseLaunch, mostElementwiseExtents, placeLaunch } from "../../../kernels/elementwise.ts";
import { normStatisticsLaunch } from "../../../kernels/norms.ts";
import { addLinkedRowsLaunch, linkLaunch } from "../../../kernels/scatter.ts";
import { plainFragment } from "../../../kernels/wgsl.ts";
import { type Node, type NodeOf, sizeOf } from "../graph.ts";
import { reduceInto, reduceShape } from "./lower-reduction.ts";
import type { Lowering } from "./lowering-types.ts";
import type { Value } from "./values.ts";

/** Copies the base, which may be inlined, and adds the rows to the copy. */
export function lowerScatterAddRows(node: NodeOf<"scatterAddRows">, lowering: Lowering): void {
  const [idValue, rowValue] = [lowering.read(node.inputs[1]), lowering.read(node.inputs[2])];
  const result = copyOfBase(node, lowering);
  const links = lowering.scratch(idValue.size);
  lowering.run(linkLaunch(idValue.size), [idValue, links]);
  const width = node.shape[1] ?? 1;
  lowering.run(addLinkedRowsLaunch(idValue.size, width), [idValue, links, rowValue, result]);
}

/** Marks in a bit matrix which bags use which id; then each row of the table sums over the bags that use it. */
export function lowerBagGradTable(node: NodeOf<"embeddingBagGradTable">, lowering: Lowering): void {
  const shape = bagsOf(node);
  const [ids, weights, dY] = node.inputs.slice(1).map((input) => lowering.read(input));
  if (ids === undefined || weights === undefined || dY === undefined) throw new TypeError("a bag lacks an operand");
  const result = copyOfBase(node, lowering);
  const marks = lowering.scratch(bagMarks(shape));
  lowering.run(clearMarksLaunch(shape), [marks]);
  lowering.run(markBagsLaunch(shape), [ids, marks]);
  lowering.run(addBagsLaunch(shape), [ids, weights, dY, marks, result]);
}

export function bagsOf({ inputs: [table, ids] }: Pick<Node, "inputs">): BagShape {
  const [[V = 0, D = 0], [N = 0, K = 0]] = [table?.shape ?? [], ids?.shape ?? []];
  return { rows: N, each: K, width: D, table: V };
}

function copyOfBase(node: NodeOf<"scatterAddRows"> | NodeOf<"embeddingBagGradTable">, lowering: Lowering): Value {
  const [base] = node.inputs;
  if (base === undefined) throw new TypeError(`${node.op} has no base`);
  const result = lowering.result(node);
  const builder = lowering.builder(mostElementwiseExtents);
  const fragment = builder.build(base);
  lowering.run(elementwiseLaunch("copy of a table", fragment, sizeOf(node.shape), "f32"), [...builder.values, result]);
  return result;
}

/** Writes each part, which may be inlined, to its range of the result. */
export function lowerConcat(node: NodeOf<"concat">, lowering: Lowering): void {
  const result = lowering.result(node);
  const inside = sizeOf(node.shape.slice(node.attrs.axis + 1));
  const total = (node.shape[node.attrs.axis] ?? 1) * inside;
  let start = 0;
  for (const part of node.inputs) {
    const own = (part.shape[node.attrs.axis] ?? 1) * inside;
    const builder = lowering.builder(mostElementwiseExtents);
    const [length, all] = [builder.extent(own), builder.extent(total)];
    const to = `at / ${length} * ${all} + at % ${length} + ${builder.extent(start)}`;
    const fragment = builder.build(part);
    lowering.run(placeLaunch("concat", fragment, to, sizeOf(part.shape), part.dtype), [...builder.values, result]);
    start += own;
  }
}

/** (x, dY) -> sum over rows of dY xHat. */
export function lowerNormGradGamma(
  node: NodeOf<"layerNormGradGamma"> | NodeOf<"rmsNormGradGamma">,
  { eps, centred }: { readonly eps: number; readonly centred: boolean },
  lowering: Lowering,
): void {
  const [x, dY] = [lowering.read(node.inputs[0]), lowering.read(node.inputs[1])];
  const columns = node.shape[0] ?? 1;
  const rows = x.size / columns;
  const statistics = lowering.scratch(rows * 2);
  lowering.run(normStatisticsLaunch({ rows, columns, eps, centred }), [x, statistics]);
  const binding = (name: string) => ({ name, type: "f32", access: "read" }) as const;
  const fragment = {
    ...plainFragment,
    bindings: [binding("x"), binding("dY"), binding("statistics")],
    result: "dY[at] * (x[at] - statistics[2u * r]) * statistics[2u * r + 1u]",
  };
  const values = [x, dY, statistics];
  reduceInto(node, { fragment, values, shape: reduceShape([rows, columns], [0], { kind: "sum", scale: 1 }) }, lowering);
}
