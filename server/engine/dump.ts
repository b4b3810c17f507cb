import { type Node, topologicalOrder } from "./graph.ts";

/** The graph as text, a node a line in topological order: `%3 f32[2, 5] = matmul(%0, %2) {transB: true}`. */
export function dump(outputs: readonly Node[]): string {
  const order = topologicalOrder(outputs);
  const numbers = new Map(order.map((node, index) => [node, index]));
  const lines = order.map((node) => describeNode(node, numbers));
  const returned = outputs.map((node) => `%${numbers.get(node)}`).join(", ");
  return [...lines, `return ${returned}`].join("\n");
}

/** One line of `dump`. */
export function describeNode(node: Node, numbers: ReadonlyMap<Node, number>): string {
  const inputs = node.inputs.map((input) => `%${numbers.get(input) ?? "?"}`).join(", ");
  return `%${numbers.get(node) ?? "?"} ${node.dtype}[${node.shape.join(", ")}] = ${node.op}(${inputs})${describeAttrs(node)}`;
}

function describeAttrs(node: Node): string {
  const shown = Object.entries(node.attrs)
    .filter(([key]) => key !== "shape" && key !== "dtype")
    .map(([key, value]) => `${key}: ${describeValue(value)}`);
  return shown.length === 0 ? "" : ` {${shown.join(", ")}}`;
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  if (!(value instanceof Float32Array || value instanceof Int32Array)) return String(value);
  return value.length <= 4
    ? `[${value.join(", ")}]`
    : `[${value.subarray(0, 3).join(", ")}, ... ${value.length} values]`;
}
