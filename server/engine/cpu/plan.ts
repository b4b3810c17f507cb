/** A compiled program as plain data, so that it can be handed to the worker that runs it. */
import type { Update } from "../device.ts";
import type { BufferSpec, PlannedInput } from "../program-inputs.ts";

/** Where a value is found while a program runs. */
export type Operand =
  | { readonly from: "state"; readonly name: string }
  | { readonly from: "input"; readonly name: string }
  | { readonly from: "buffer"; readonly index: number };

export interface Feed {
  readonly onnxName: string;
  readonly operand: Operand;
  readonly spec: BufferSpec;
}

export interface CpuPlan {
  /** Undefined when nothing is left for ONNX Runtime to do. */
  readonly model: Uint8Array | undefined;
  readonly feeds: readonly Feed[];
  /** State baked into the model, by ONNX name; only when the program is frozen. */
  readonly frozen: readonly Feed[];
  /** What the ONNX model writes, by ONNX name, each into a buffer of its own. */
  readonly fetches: readonly { readonly onnxName: string; readonly index: number }[];
  readonly buffers: readonly BufferSpec[];
  readonly steps: readonly HostStep[];
  readonly updates: readonly Update<Operand>[];
  readonly inputs: readonly PlannedInput[];
  readonly outputs: readonly { readonly name: string; readonly operand: Operand; readonly spec: BufferSpec }[];
}

/** What plain loops compute after the ONNX model has run. */
export type HostStep =
  | {
      readonly kind: "scatterAddRows";
      /** Undefined: the result starts from zeros. It may be the result's own buffer, which is then added to in place. */
      readonly base: Operand | undefined;
      readonly ids: Operand;
      readonly rows: Operand;
      readonly result: number;
      readonly width: number;
    }
  | {
      readonly kind: "sampleRows";
      readonly probs: Operand;
      readonly uniforms: Operand;
      readonly settings: Operand;
      readonly result: number;
      readonly vocabulary: number;
      readonly bannable: readonly number[];
      readonly limit: number;
    };
