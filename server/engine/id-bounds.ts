import type { Node } from "./graph.ts";

/**
 * How many rows the tables have that an i32 input's values are looked up in, by the input's name; where there are several, the fewest.
 * A device refuses values outside 0 .. rows - 1: kernels read such ids in different ways (ONNX counts negative ones from the end), and
 * a number from the wrong row looks like any other.
 */
export function idBounds(order: readonly Node[]): ReadonlyMap<string, number> {
  const bounds = new Map<string, number>();
  for (const node of order) {
    const use = idsOf(node);
    const ids = use === undefined ? undefined : leafOf(use.ids);
    if (use === undefined || ids?.op !== "input") continue;
    bounds.set(ids.attrs.name, Math.min(use.rows, bounds.get(ids.attrs.name) ?? Number.POSITIVE_INFINITY));
  }
  return bounds;
}

interface IdUse {
  readonly ids: Node | undefined;
  readonly rows: number;
}

/** Which operand of a node is ids, and into how many rows. */
function idsOf(node: Node): IdUse | undefined {
  const [first, second] = node.inputs;
  switch (node.op) {
    case "embedding":
    case "scatterAddRows":
    case "embeddingBag":
    case "embeddingBagGradWeights":
    case "embeddingBagGradTable":
      return { ids: second, rows: first?.shape[0] ?? 0 };
    case "gatherLogProbs":
    case "gatherLogProbsGrad":
    case "gatherRow":
      return { ids: second, rows: first?.shape[1] ?? 0 };
    case "scatterRow":
      return { ids: second, rows: node.attrs.width };
    case "rotary":
      return { ids: second, rows: node.attrs.maxPositions };
    default:
      return undefined;
  }
}

function leafOf(node: Node | undefined): Node | undefined {
  return node?.op === "reshape" ? leafOf(node.inputs[0]) : node;
}
