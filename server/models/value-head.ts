/** A linear value head on the last hidden state, under TRL's names, so that checkpoints are interchangeable. */
import type { Device, StateStore } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ParameterSpec } from "./architecture.ts";
import { readFloats } from "./checkpoint.ts";
import type { TensorToWrite } from "./safetensors.ts";

export interface ValueHead {
  readonly store: StateStore;
  readonly parameters: readonly ParameterSpec[];
  /** Hidden states [..., D] -> values [...]. */
  readonly valuesOf: (hidden: Node) => Node;
}

const weightName = "v_head.summary.weight";
const biasName = "v_head.summary.bias";

/** A head for hidden states of width D; zero weights (every value 0) by default. */
export async function createValueHead(
  device: Device,
  D: number,
  weights?: { readonly weight: Float32Array; readonly bias: Float32Array },
): Promise<ValueHead> {
  const parameters: ParameterSpec[] = [
    { name: weightName, shape: [1, D], role: "linear" },
    { name: biasName, shape: [1], role: "bias" },
  ];
  const store = await device.createState([
    { name: weightName, shape: [1, D], values: weights?.weight },
    { name: biasName, shape: [1], values: weights?.bias },
  ]);
  const valuesOf = (hidden: Node): Node =>
    ops.reshape(ops.linear(hidden, ops.state(weightName, [1, D]), ops.state(biasName, [1])), hidden.shape.slice(0, -1));
  return { store, parameters, valuesOf };
}

/** The head's tensors, to be saved beside the model's. */
export async function valueHeadTensors(head: ValueHead): Promise<TensorToWrite[]> {
  return Promise.all(
    head.parameters.map(async ({ name, shape }) => ({
      name,
      dtype: "F32" as const,
      shape,
      data: await readFloats(head.store, name),
    })),
  );
}
