import { LfpError } from "../common/errors.ts";
import { describeNode } from "./dump.ts";
import { InvalidGraphError } from "./errors.ts";
import { type DType, type Node, type NodeOf, type OpKind, type Shape, sameShape, topologicalOrder } from "./graph.ts";
import { type ShapeRule, shapeRules } from "./shapes.ts";

/**
 * Checks a graph before it is lowered: every node's shape and dtype follow from its inputs, attributes are finite, and
 * every name belongs to one leaf only. Throws `InvalidGraphError` naming the node.
 */
export function verify(outputs: readonly Node[]): void {
  const order = topologicalOrder(outputs);
  const numbers = new Map(order.map((node, index) => [node, index]));
  const names = new Map<string, Node>();
  for (const node of order) {
    const fail = (problem: string): never => {
      throw new InvalidGraphError(describeNode(node, numbers), problem);
    };
    checkShape(node, fail);
    checkAttrs(node, fail);
    checkName(node, names, fail);
  }
}

type Fail = (problem: string) => never;

function checkShape(node: Node, fail: Fail): void {
  if (node.shape.some((extent) => !Number.isSafeInteger(extent) || extent < 1))
    fail("extents must be whole numbers of at least 1");
  const inferred = inferShape(node, fail);
  if (inferred.dtype !== node.dtype) fail(`is marked ${node.dtype} but its inputs make ${inferred.dtype}`);
  if (!sameShape(inferred.shape, node.shape))
    fail(`is marked [${node.shape.join(", ")}] but its inputs make [${inferred.shape.join(", ")}]`);
}

function inferShape<K extends OpKind>(node: NodeOf<K>, fail: Fail): { shape: Shape; dtype: DType } {
  const rule: ShapeRule<K> = shapeRules[node.op];
  try {
    return rule(node.inputs, node.attrs);
  } catch (error) {
    if (error instanceof LfpError) fail(error.message);
    throw error;
  }
}

function checkAttrs(node: Node, fail: Fail): void {
  for (const [key, value] of Object.entries(node.attrs)) {
    if (typeof value === "number" && Number.isNaN(value)) fail(`attribute ${key} is NaN`);
  }
}

function checkName(node: Node, names: Map<string, Node>, fail: Fail): void {
  if (!("name" in node.attrs)) return;
  const { name } = node.attrs;
  const other = names.get(name);
  if (
    other !== undefined &&
    other !== node &&
    !(other.op === node.op && sameShape(other.shape, node.shape) && other.dtype === node.dtype)
  ) {
    fail(`the name '${name}' already stands for ${other.op} ${other.dtype}[${other.shape.join(", ")}]`);
  }
  names.set(name, node);
}
