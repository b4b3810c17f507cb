/** Kernels around generated fragments: elementwise results, and reductions over axes. */
import { defineKernel, extentParams, type Fragment, foldedGrid, type Launch, lowest, maxAll, sumAll } from "./wgsl.ts";

const lanes = 256;
/** Maximum number of a fragment's extents that these kernels can pass as parameters. */
export const mostElementwiseExtents = 14;
export const mostReductionExtents = 10;

/** y[at] = fragment, for `at` below `size`. */
export function elementwiseLaunch(name: string, fragment: Fragment, size: number, type: "f32" | "i32"): Launch {
  return placeLaunch(name, fragment, "at", size, type);
}

/** y[to] = fragment, for `at` below `size`: `to`, an expression over `at`, is an index in a larger tensor. */
export function placeLaunch(name: string, fragment: Fragment, to: string, size: number, type: "f32" | "i32"): Launch {
  const kernel = defineKernel({
    name,
    bindings: [...fragment.bindings, { name: "y", type, access: "read_write" }],
    params: [{ name: "size", type: "u32" }, ...extentParams(fragment)],
    size: lanes,
    declarations: fragment.declarations,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size) { return; }
${fragment.statements}
  y[${to}] = ${fragment.result};`,
  });
  return { kernel, params: [size, ...(fragment.extents ?? [])], grid: foldedGrid(Math.ceil(size / lanes)) };
}

export interface ReduceShape {
  readonly kind: "sum" | "max";
  /** The number of results, and of elements per result. */
  readonly outputs: number;
  readonly reduced: number;
  /** The index of element `r` of result `o`, as an expression over the two. */
  readonly place: string;
  /** Factor of the final result. */
  readonly scale: number;
}

/**
 * One invocation per result and chunk, for results that are adjacent in memory: y [chunks, outputs]. The fragment is
 * over `at`.
 */
export function reduceByInvocationLaunch(fragment: Fragment, shape: ReduceShape, chunks: number): Launch {
  const { outputs, reduced } = shape;
  const size = 64;
  const kernel = defineKernel({
    name: `${shape.kind} over columns`,
    ...reduceParts(fragment),
    size,
    body: `
  let index = group * ${size}u + lane;
  if (index >= p.outputs * p.chunks) { return; }
  let o = index % p.outputs;
  let begin = index / p.outputs * p.chunk;
  let end = min(p.reduced, begin + p.chunk);
  var total = ${startOf(shape)};
  for (var r = begin; r < end; r++) {
    let at = ${shape.place};
${fragment.statements}
    total = ${combine(shape, "total", fragment.result)};
  }
  y[index] = total * p.scale;`,
  });
  const params = [outputs, reduced, chunks, Math.ceil(reduced / chunks), shape.scale, ...(fragment.extents ?? [])];
  return { kernel, params, grid: foldedGrid(Math.ceil((outputs * chunks) / size)), operations: operationsOf(shape) };
}

/** One workgroup per result and chunk: y [chunks, outputs]. The fragment is over `at`. */
export function reduceByWorkgroupLaunch(fragment: Fragment, shape: ReduceShape, chunks: number): Launch {
  const { kind, outputs, reduced } = shape;
  const size = reduced / chunks <= 512 ? 32 : 256;
  const all = kind === "sum" ? "sumAll" : "maxAll";
  const parts = reduceParts(fragment);
  const kernel = defineKernel({
    name: `${kind} over rows`,
    ...parts,
    size,
    declarations: parts.declarations + (kind === "sum" ? sumAll(size) : maxAll(size)),
    body: `
  if (group >= p.outputs * p.chunks) { return; }
  let o = group % p.outputs;
  let begin = group / p.outputs * p.chunk;
  let end = min(p.reduced, begin + p.chunk);
  var total = ${startOf(shape)};
  for (var r = begin + lane; r < end; r += ${size}u) {
    let at = ${shape.place};
${fragment.statements}
    total = ${combine(shape, "total", fragment.result)};
  }
  total = ${all}(total, lane);
  if (lane == 0u) { y[group] = total * p.scale; }`,
  });
  const params = [outputs, reduced, chunks, Math.ceil(reduced / chunks), shape.scale, ...(fragment.extents ?? [])];
  return { kernel, params, grid: foldedGrid(outputs * chunks), operations: operationsOf(shape) };
}

/** Estimated operations. Inlined elements count as much as stored ones: computing costs about as much as reading. */
function operationsOf({ outputs, reduced }: ReduceShape): number {
  return 32 * outputs * reduced;
}

function reduceParts(fragment: Fragment) {
  return {
    bindings: [...fragment.bindings, { name: "y", type: "f32", access: "read_write" } as const],
    params: [
      ...["outputs", "reduced", "chunks", "chunk"].map((name) => ({ name, type: "u32" }) as const),
      { name: "scale", type: "f32" } as const,
      ...extentParams(fragment),
    ],
    declarations: fragment.declarations,
  };
}

function startOf({ kind }: ReduceShape): string {
  return kind === "sum" ? "0.0f" : lowest;
}

function combine({ kind }: ReduceShape, a: string, b: string): string {
  return kind === "sum" ? `${a} + ${b}` : `max(${a}, ${b})`;
}
