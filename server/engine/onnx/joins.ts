/** Sums of padded parts as one concatenation, as the gradients of slices add up. */
import type { Node, NodeOf } from "../graph.ts";
import type { Emitter, Value } from "./emitter.ts";

/** Zeros but for a part along one axis, from `start` to before `end`. */
interface Part {
  readonly node: Node | undefined;
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/** The sum as a concatenation, if its terms are parts that fill one axis without overlap; undefined where they do not. */
export function joined(node: NodeOf<"add">, e: Emitter): Value | undefined {
  const together = extentOf(node);
  if (together === undefined || together.length !== node.shape[together.axis]) return undefined;
  const { axis } = together;
  const sorted = partsOf(node).toSorted((a, b) => a.start - b.start);
  const starts = [...sorted.slice(1).map(({ start }) => start), node.shape[axis]];
  const fills = sorted[0]?.start === 0 && sorted.every((part, at) => part.end === starts[at]);
  return fills
    ? e.emit(
        "Concat",
        sorted.map((part) => e.valueOf(part.node)),
        { axis },
      )
    : undefined;
}

/** What a sum's parts cover, if they lie along one axis and are no longer than it: overlaps count twice. */
interface Extent {
  readonly axis: number;
  readonly length: number;
}

/** Known sums: each is part of the sums around it, which are lowered after it. */
const extents = new WeakMap<Node, Extent | "none">();

function extentOf(node: Node): Extent | undefined {
  const known = extents.get(node) ?? newExtent(node) ?? "none";
  extents.set(node, known);
  return known === "none" ? undefined : known;
}

function newExtent(node: Node): Extent | undefined {
  const part = partOf(node);
  if (part !== undefined) return { axis: part.axis, length: part.end - part.start };
  if (node.op !== "add") return undefined;
  const [a, b] = node.inputs.map(extentOf);
  if (a === undefined || b === undefined || a.axis !== b.axis) return undefined;
  const length = a.length + b.length;
  return length <= (node.shape[a.axis] ?? 0) ? { axis: a.axis, length } : undefined;
}

/** The parts of a sum that has an extent. */
function partsOf(node: Node): Part[] {
  const parts: Part[] = [];
  const rest = [node];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const part = partOf(next);
    if (part === undefined) rest.push(...next.inputs);
    else parts.push(part);
  }
  return parts;
}

function partOf(node: Node): Part | undefined {
  if (node.op !== "pad") return undefined;
  const { axis, before, after } = node.attrs;
  return { node: node.inputs[0], axis, start: before, end: (node.shape[axis] ?? 0) - after };
}
