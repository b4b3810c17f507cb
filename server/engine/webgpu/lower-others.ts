/** Operators that take several launches. */
import { elementwiseLaunch, mostElementwiseExtents, placeLaunch } from "../../../kernels/elementwise.ts";
import { normStatisticsLaunch } from "../../../kernels/norms.ts";
import { addLinkedRowsLaunch, linkLaunch } from "../../../kernels/scatter.ts";
import { plainFragment } from "../../../kernels/wgsl.ts";
import { type NodeOf, sizeOf } from "../graph.ts";
import { reduceInto, reduceShape } from "./lower-reduction.ts";
import type { Lowering } from "./lowering.ts";

/** The base is copied, computed as it is read, and rows are added to the copy. */
export function lowerScatterAddRows(node: NodeOf<"scatterAddRows">, lowering: Lowering): void {
  const [base, ids, rows] = node.inputs;
  if (base === undefined) throw new TypeError("scatterAddRows has no base");
  const result = lowering.result(node);
  const builder = lowering.builder(mostElementwiseExtents);
  const fragment = builder.build(base);
  const [idValue, rowValue] = [lowering.read(ids), lowering.read(rows)];
  lowering.run(elementwiseLaunch("copy of a table", fragment, sizeOf(node.shape), "f32"), [...builder.values, result]);
  const links = lowering.scratch(idValue.size);
  lowering.run(linkLaunch(idValue.size), [idValue, links]);
  const width = node.shape[1] ?? 1;
  lowering.run(addLinkedRowsLaunch(idValue.size, width), [idValue, links, rowValue, result]);
}

/** Each part is written to its places, computed as it is read. */
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
