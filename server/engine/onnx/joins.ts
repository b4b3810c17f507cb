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
  const parts = termsOf(node).map(partOf);
  const sorted = parts.flatMap((part) => part ?? []).toSorted((a, b) => a.start - b.start);
  const [first] = sorted;
  if (first === undefined || sorted.length < parts.length) return undefined;
  const { axis } = first;
  const starts = [...sorted.slice(1).map(({ start }) => start), node.shape[axis]];
  const fills = first.start === 0 && sorted.every((part, at) => part.axis === axis && part.end === starts[at]);
  return fills
    ? e.emit(
        "Concat",
        sorted.map((part) => e.valueOf(part.node)),
        { axis },
      )
    : undefined;
}

/** The terms of nested sums. */
function termsOf(node: Node): Node[] {
  return node.op === "add" ? node.inputs.flatMap(termsOf) : [node];
}

function partOf(node: Node): Part | undefined {
  if (node.op !== "pad") return undefined;
  const { axis, before, after } = node.attrs;
  return { node: node.inputs[0], axis, start: before, end: (node.shape[axis] ?? 0) - after };
}
