import type { Node } from "./graph.ts";

/**
 * Exclusive upper bounds of i32 inputs that are used as ids, by input name: the rows of the smallest table indexed
 * with the input. A device refuses values outside 0 .. rows - 1: kernels treat them differently (ONNX counts negative
 * ids from the end), and values from the wrong row would go unnoticed.
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

/** The operand of a node that holds ids, and the number of rows that they index. */
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
