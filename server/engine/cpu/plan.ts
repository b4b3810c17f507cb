/** A compiled program as plain data, which can be posted to the worker that runs it. */
import type { StoredAs, Update } from "../device.ts";
import type { DType, Shape } from "../graph.ts";
import type { BufferSpec, PlannedInput } from "../program-inputs.ts";

/** Where a value is stored while a program runs. */
export type Operand =
  | { readonly from: "state"; readonly name: string }
  | { readonly from: "input"; readonly name: string }
  | { readonly from: "buffer"; readonly index: number };

export interface Feed {
  readonly onnxName: string;
  readonly operand: Operand;
  /** What ONNX Runtime reads. */
  readonly spec: TensorSpec;
  /** First row, where only some rows of the operand are fed. */
  readonly fromRow?: number;
}

/** As `BufferSpec`; fixed state may also be held as F16 or BF16. */
export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType | StoredAs;
}

/** An output of the ONNX model, which has a buffer of its own and there perhaps another shape. */
export interface Fetch {
  readonly onnxName: string;
  readonly index: number;
  readonly spec: BufferSpec;
}

export interface CpuPlan {
  /** Undefined when the program has no work for ONNX Runtime. */
  readonly model: Uint8Array | undefined;
  readonly feeds: readonly Feed[];
  /** State baked into the model, by ONNX name; only when the program is frozen. */
  readonly frozen: readonly Feed[];
  readonly fetches: readonly Fetch[];
  readonly buffers: readonly BufferSpec[];
  readonly steps: readonly HostStep[];
  readonly updates: readonly Update<Operand>[];
  readonly inputs: readonly PlannedInput[];
  readonly outputs: readonly { readonly name: string; readonly operand: Operand; readonly spec: BufferSpec }[];
}

/** A step that a plain loop computes after the ONNX model has run. */
export type HostStep =
  | {
      readonly kind: "scatterAddRows";
      /** Undefined: the result starts from zeros. If it is the result's own buffer, the step adds in place. */
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
