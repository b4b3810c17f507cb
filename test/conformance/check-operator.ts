import type { Device } from "../../server/engine/device.ts";
import { gradients } from "../../server/engine/gradients.ts";
import type { Node, OpAttrs, Values } from "../../server/engine/graph.ts";
import * as ops from "../../server/engine/ops.ts";
import { expectClose, type Tolerance } from "./close-to.ts";
import type { OperatorCase } from "./fixtures.ts";

const tolerance: Tolerance = { absolute: 2e-6, relative: 1e-5 };

/**
 * The one check of an operator: its result, and the gradients of sum(result * w) for all its inputs, against values that PyTorch
 * computed in float64.
 */
export async function checkOperator(device: Device, example: OperatorCase): Promise<void> {
  const inputs = example.inputs.map(({ shape, dtype }, index) => ops.input(`x${index}`, shape, dtype));
  const output = buildCase(example, inputs);
  const loss = ops.sum(ops.mul(output, ops.input("w", example.output.shape)));
  const differentiable = inputs.filter((_, index) => example.inputGradients[index] !== null);
  const found = differentiable.length === 0 ? [] : gradients(loss, differentiable);
  const named = Object.fromEntries(found.map((gradient, index) => [`gradient${index}`, gradient]));
  const program = await device.compile({ stores: [], outputs: { output, ...named } });
  const values: [string, Values][] = example.inputs.map(({ dtype, data }, index) => [
    `x${index}`,
    dtype === "f32" ? Float32Array.from(data) : Int32Array.from(data),
  ]);
  const weights = found.length === 0 ? [] : [["w", Float32Array.from(example.outputGradient)] as const];
  const results = await program.run(Object.fromEntries([...values, ...weights]));
  expectClose(`${example.name}: result`, results["output"], example.output.data, tolerance);
  const expected = example.inputGradients.filter((gradient) => gradient !== null);
  for (const [index, gradient] of expected.entries())
    expectClose(`${example.name}: gradient ${index}`, results[`gradient${index}`], gradient, tolerance);
  await program.dispose();
}

/** The node that a case is about. */
export function buildCase({ op, attrs }: OperatorCase, inputs: readonly Node[]): Node {
  if (op === "rotary") return ops.make("rotary", inputs, { ...attrs, maxPositions: 512, inverse: false });
  if (op === "softmax") return ops.make("softmax", inputs, { mask: attrs.mask, window: attrs.window ?? 0 });
  // The fixture's attributes are the graph's own for every other kind.
  return ops.make(op, inputs, attrs as OpAttrs[typeof op]);
}
