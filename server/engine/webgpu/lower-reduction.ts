import {
  mostReductionExtents,
  type ReduceShape,
  reduceByInvocationLaunch,
  reduceByWorkgroupLaunch,
} from "../../../kernels/elementwise.ts";
import { plainFragment } from "../../../kernels/wgsl.ts";
import { type Node, type NodeOf, type Shape, sizeOf } from "../graph.ts";
import type { Lowering } from "./lowering-types.ts";

/** Lowers a sum or maximum over axes; the operand may be inlined. */
export function lowerReduction(
  node: NodeOf<"sum"> | NodeOf<"mean"> | NodeOf<"max">,
  { kind, scale }: Pick<ReduceShape, "kind" | "scale">,
  lowering: Lowering,
): void {
  const x = node.inputs[0];
  if (x === undefined) throw new TypeError("a reduction has no operand");
  const builder = lowering.builder(mostReductionExtents);
  const shape = reduceShape(x.shape, node.attrs.axes, { kind, scale, extent: (value) => builder.extent(value) });
  const fragment = builder.build(x);
  reduceInto(node, { fragment, values: builder.values, shape }, lowering);
}

export interface Reduction {
  readonly fragment: ReturnType<ReturnType<Lowering["builder"]>["build"]>;
  readonly values: readonly ReturnType<Lowering["read"]>[];
  readonly shape: ReduceShape & { readonly neighbours: boolean };
}

/** One launch, or two if there are few results of many elements: first per chunk, then over chunks. */
export function reduceInto(node: Node, { fragment, values, shape }: Reduction, lowering: Lowering): void {
  const chunks = chunksOf(shape);
  const launch = shape.neighbours || shape.reduced <= 8 ? reduceByInvocationLaunch : reduceByWorkgroupLaunch;
  if (chunks === 1) {
    lowering.run(launch(fragment, shape, 1), [...values, lowering.result(node)]);
    return;
  }
  const parts = lowering.scratch(chunks * shape.outputs);
  lowering.run(launch(fragment, { ...shape, scale: 1 }, chunks), [...values, parts]);
  const rest: ReduceShape = { ...shape, reduced: chunks, place: columnsPlace };
  const own = { ...plainFragment, bindings: [{ name: "x0", type: "f32", access: "read" } as const], result: "x0[at]" };
  lowering.run(reduceByInvocationLaunch(own, rest, 1), [parts, lowering.result(node)]);
}

const columnsPlace = "r * p.outputs + o";
const rowsPlace = "o * p.reduced + r";

/** The number of chunks: enough to fill a large GPU, each long enough to be worthwhile. */
function chunksOf({ outputs, reduced, neighbours }: Reduction["shape"]): number {
  const wanted = neighbours ? Math.ceil(32_768 / outputs) : Math.ceil(512 / outputs);
  const most = Math.floor(reduced / (neighbours ? 32 : 4096));
  return Math.max(1, Math.min(wanted, most, 256));
}

export interface ReduceOptions extends Pick<ReduceShape, "kind" | "scale"> {
  /** Formats extents as code. */
  readonly extent?: (value: number) => string;
}

/** The reduction's sizes, and the place in x of element r of result o. Merges adjacent axes of the same kind. */
export function reduceShape(
  shape: Shape,
  axes: readonly number[],
  { kind, scale, extent: extentText = (value) => `${value}u` }: ReduceOptions,
): Reduction["shape"] {
  const groups: { reduced: boolean; extent: number }[] = [];
  for (const [axis, extent] of shape.entries()) {
    if (extent === 1) continue;
    const reduced = axes.includes(axis);
    const last = groups.at(-1);
    if (last?.reduced === reduced) last.extent *= extent;
    else groups.push({ reduced, extent });
  }
  const extentOf = (wanted: boolean): number =>
    groups.filter(({ reduced }) => reduced === wanted).reduce((product, { extent }) => product * extent, 1);
  const neighbours = groups.at(-1)?.reduced === false;
  const sizes = { kind, scale, outputs: extentOf(false), reduced: extentOf(true), neighbours };
  if (groups.length <= 2) return { ...sizes, place: neighbours ? columnsPlace : rowsPlace };
  return { ...sizes, place: placeOf(groups, extentText) };
}

function placeOf(groups: readonly { reduced: boolean; extent: number }[], text: (extent: number) => string): string {
  const terms = groups.map(({ reduced, extent }, at) => {
    const name = reduced ? "r" : "o";
    const inside = groups.slice(at + 1).filter((group) => group.reduced === reduced);
    const below = inside.reduce((product, group) => product * group.extent, 1);
    const first = groups.findIndex((group) => group.reduced === reduced) === at;
    const divided = below === 1 ? name : `${name} / ${text(below)}`;
    const stride = sizeOf(groups.slice(at + 1).map((group) => group.extent));
    return `(${first ? divided : `${divided} % ${text(extent)}`}) * ${text(stride)}`;
  });
  return terms.join(" + ");
}
