import { InvalidGraphError } from "../errors.ts";
import { type Node, type NodeOf, topologicalOrder, type Values } from "../graph.ts";
import { simplify } from "../simplify.ts";
import { verify } from "../verify.ts";
import { Emitter } from "./emitter.ts";
import { lowerNode } from "./lowering.ts";
import { encodeModel, type OnnxValue } from "./model-writer.ts";

export interface ExportSpec {
  /** The model's outputs, by the names visible to its users. */
  readonly outputs: Readonly<Record<string, Node>>;
  /** The value of every `state` node, by name. */
  readonly state: ReadonlyMap<string, Values>;
  /**
   * Values of inputs that are constant in the model; all other inputs remain inputs of the model, under their names.
   */
  readonly fixed?: Readonly<Record<string, Values>>;
}

/**
 * A graph with its weights as one ONNX model, for ONNX Runtime 1.23 or newer (it uses a few operators of ONNX Runtime's
 * own). Throws `InvalidGraphError` for an inconsistent graph or a state without values.
 */
export function exportOnnx({ outputs, state, fixed = {} }: ExportSpec): Uint8Array {
  const roots = Object.values(outputs);
  verify(roots);
  const simplified = simplify(roots);
  const emitter = new Emitter();
  const inputs: OnnxValue[] = [];
  for (const node of topologicalOrder(simplified)) {
    if (node.op === "state") bindValues(emitter, node, state.get(node.attrs.name));
    else if (node.op === "input" && node.attrs.name in fixed) bindValues(emitter, node, fixed[node.attrs.name]);
    else if (node.op === "input") {
      inputs.push({ name: node.attrs.name, dtype: node.dtype, shape: node.shape });
      emitter.bind(node, node.attrs.name);
    } else emitter.bind(node, lowerNode(node, emitter));
  }
  const named = Object.keys(outputs).map((name, index): OnnxValue => {
    const node = simplified[index];
    if (node === undefined) throw new InvalidGraphError(name, "was lost while the graph was simplified");
    emitter.emitAs(name, "Identity", [emitter.valueOf(node)]);
    return { name, dtype: node.dtype, shape: node.shape };
  });
  return encodeModel({
    nodes: emitter.nodesFor(Object.keys(outputs)),
    initializers: emitter.initializers,
    inputs,
    outputs: named,
  });
}

function bindValues(emitter: Emitter, node: NodeOf<"state"> | NodeOf<"input">, values: Values | undefined): void {
  const { name } = node.attrs;
  if (values === undefined) throw new InvalidGraphError(`${node.op} '${name}'`, "has no values to export");
  emitter.bind(node, emitter.initializer(node.dtype, node.shape, values, `${node.op}:${name}`));
}
