import { LfpError } from "../common/errors.ts";
import type { Node, OpKind, Shape } from "./graph.ts";

/** Operands that do not fit an operator, named with their shapes. */
export class ShapeMismatchError extends LfpError {
  readonly code = "internal";

  constructor(op: OpKind, operands: readonly Operand[], expected: string) {
    super(`${op}: got ${operands.map(describeOperand).join(" and ")}; expected ${expected}`);
  }
}

/** A graph that must not be lowered; the message has the node, what is wrong with it, and its inputs. */
export class InvalidGraphError extends LfpError {
  readonly code = "internal";

  constructor(node: string, problem: string) {
    super(`invalid graph at ${node}: ${problem}`);
  }
}

/** A gradient was requested through an operator that has none. */
export class NoGradientError extends LfpError {
  readonly code = "internal";

  constructor(op: OpKind) {
    super(
      `${op} has no gradient: it is itself a gradient or its result is not smooth; take the gradient of what made it`,
    );
  }
}

/** Data given to a run does not fit the program's input of that name. */
export class InputMismatchError extends LfpError {
  readonly code = "internal";

  constructor(name: string, got: string, expected: string) {
    super(`input '${name}': got ${got}; expected ${expected}`);
  }

  /** Recreates an error that another thread sent. */
  static fromMessage(message: string): InputMismatchError {
    const error = new InputMismatchError("", "", "");
    error.message = message;
    return error;
  }
}

/** A loss, gradient, probability or weight is NaN or infinite. An optimizer step with such a value is not applied. */
export class NonFiniteError extends LfpError {
  readonly code = "non-finite";
  readonly tensor: string;
  /** Undefined outside training. */
  readonly step: number | undefined;
  readonly value: number;

  constructor(tensor: string, step: number | undefined, value: number) {
    super(
      step === undefined
        ? `${tensor} is ${value}: the model's weights have diverged. Use an earlier checkpoint`
        : `step ${step}: ${tensor} is ${value}; the step was not applied. Lower the learning rate, clip gradients, or check the data`,
    );
    this.tensor = tensor;
    this.step = step;
    this.value = value;
  }
}

/** The compute device or its worker is gone, or refused a program. */
export class DeviceError extends LfpError {
  readonly code = "resource";
}

/** A write to weights that are held fixed. */
export class FixedStateError extends DeviceError {
  constructor(name: string) {
    super(
      `'${name}' belongs to a model whose weights are held fixed, as its file has them, because it is large; nothing may change them: train adapters (lora in its tuning's settings), or take a smaller model`,
    );
  }
}

/** Weights that are held as F16 or BF16, where ONNX Runtime's C API cannot be reached. */
export class NarrowWeightsError extends DeviceError {
  constructor() {
    super(
      "the model is large, so its weights stay F16 or BF16 in memory, and only ONNX Runtime's C API reads them so. It could not be reached (lfp doctor says why): unset LFP_ONNX_RUNTIME, or use a platform that koffi has a binary for; or take a smaller model",
    );
  }
}

/** Weights that do not fit into the machine's memory. Sizes in bytes. */
export class MachineMemoryError extends DeviceError {
  constructor({ bytes, held, total }: { readonly bytes: number; readonly held: number; readonly total: number }) {
    const size = (of: number): string => `${(of / 2 ** 30).toFixed(1)} GiB`;
    super(
      `the model's weights need ${size(bytes)}, this process holds ${size(held)} already, and this machine (or its container) has ${size(total)} in all: take a smaller model, or a machine with more memory`,
    );
  }
}

/** The GPU was lost while working: by the driver, the hardware or the system. */
export class DeviceLostError extends DeviceError {
  readonly reason: string;

  /** `kernel`: the longest kernel of the last submit, if the GPU had not finished it. */
  constructor(reason: string, kernel?: string) {
    const during = kernel === undefined ? "" : `, in work whose longest kernel is '${kernel}'`;
    super(`the GPU was lost (${reason}${during}); what it held is gone. Resume the run, or use the CPU`);
    this.reason = reason;
  }
}

export type Operand = Pick<Node, "op" | "shape" | "attrs">;

export function describeShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

function describeOperand(operand: Operand): string {
  const name = "name" in operand.attrs ? ` '${operand.attrs.name}'` : "";
  return `${operand.op}${name} ${describeShape(operand.shape)}`;
}
